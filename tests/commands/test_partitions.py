from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import ProgrammingError, connection
from psycopg.errors import InsufficientPrivilege

from counters import partitions, recording
from counters.models import LastWrite, Namespace
from rollups import retention, upkeep
from rollups.folding import fold
from rollups.models import Closing

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]

MONDAY = datetime(2001, 1, 1, tzinfo=UTC)


def told(*words: str) -> str:
    out = StringIO()
    call_command("partitions", *words, stdout=out)
    return out.getvalue()


def drop_months() -> None:
    """Drop the partitions of old events, which are months; other tests' imports leave some."""
    names = [row["name"] for row in json.loads(told("--json"))]
    with connection.cursor() as cursor:
        for name in names:
            if re.fullmatch(r"counters_event_\d{6}", name):
                cursor.execute(f"DROP TABLE {name}")


@pytest.fixture
def monday(committed_namespace: Namespace) -> Iterator[None]:
    """Five folded events of a Monday that found no partition, and no other old ones."""
    drop_months()
    recording.add_many(
        [
            recording.NewEvent("test", "hits", 1, f"t{i}", MONDAY + timedelta(hours=i))
            for i in range(5)
        ],
        any_age=True,
    )
    fold([LastWrite.objects.get().counter_id])
    yield
    drop_months()
    with connection.cursor() as cursor:
        for closing in Closing.objects.all():
            cursor.execute(f"DROP TABLE IF EXISTS {closing.table}")


def test_partitions__lists_each_with_its_state(committed_namespace: Namespace) -> None:
    states = {row["name"]: row["state"] for row in json.loads(told("--json"))}

    today = datetime.now(UTC)
    assert states[f"counters_event_{today:%Y%m%d}"] == "now"
    assert states[f"counters_event_{today + timedelta(days=2):%Y%m%d}"] == "ahead"
    assert states[f"counters_event_{today - timedelta(days=2):%Y%m%d}"] == "kept"
    assert list(states)[-1] == "counters_event_default"
    assert f"counters_event_{today:%Y%m%d}\t" in told()


def test_partitions__are_a_line_each_on_a_narrow_terminal(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    screen = StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)

    call_command("partitions", stdout=screen)

    today = datetime.now(UTC)
    tomorrow = today + timedelta(days=1)
    [line] = [line for line in screen.getvalue().splitlines() if " now" in line]
    assert line.split()[:3] == [
        f"counters_event_{today:%Y%m%d}",
        f"{today:%Y-%m-%d}",
        f"{tomorrow:%Y-%m-%d}",
    ]


def test_partitions__brings_strays_home_closes_and_drops(monday: None) -> None:
    made = json.loads(told("--make", "--json"))

    assert made["made"] == ["counters_event_200101"]
    assert told("--close", "--dry-run") == (
        "would close counters_event_200101: 5 events of 1 counters\n"
    )
    assert told("--close") == (
        "closed  counters_event_200101: 5 events of 1 counters\n"
    )
    assert told("--make", "--close") == "Nothing to do.\n"
    Closing.objects.update(closed_at=MONDAY)
    assert told("--close").startswith("dropped counters_event_closed_")


def test_partitions__refuses_a_dry_run_of_nothing(db: None) -> None:
    with pytest.raises(CommandError, match="--dry-run goes with --close"):
        told("--dry-run")


def test_upkeep__says_what_it_did(
    monday: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    upkeep.make_partitions()
    upkeep.close_partitions()

    assert "Made the partition counters_event_200101." in caplog.messages
    assert "Closed the partition counters_event_200101: 5 events." in caplog.messages


def test_upkeep__of_a_role_that_owns_nothing_warns_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> list[partitions.Partition]:
        raise ProgrammingError("must be owner") from InsufficientPrivilege()

    monkeypatch.setattr(partitions, "make_ahead", refuse)
    monkeypatch.setattr(retention, "close_due", refuse)

    upkeep.make_partitions()
    upkeep.close_partitions()

    assert len(caplog.messages) == 2
    assert all("as the owner" in message for message in caplog.messages)


def test_upkeep__passes_on_any_other_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[partitions.Partition]:
        raise ProgrammingError("no such table")

    monkeypatch.setattr(partitions, "make_ahead", fail)

    with pytest.raises(ProgrammingError, match="no such table"):
        upkeep.make_partitions()
