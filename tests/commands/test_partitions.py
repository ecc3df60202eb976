from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import ProgrammingError, connection
from psycopg.errors import InsufficientPrivilege

from counters import events
from counters.models import Claim, Counter, LastWrite, Namespace
from counters.partitions import create, reindex
from counters.partitions.reindex import Rebuilt
from rollups.folding import maintenance, retention
from rollups.folding.fold import fold
from rollups.models import Closing
from tests.bloated import PARTITION, bloated_partition

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]

MONDAY = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process knows the namespaces' settings already."""
    monkeypatch.setattr(retention, "SETTLED_SECONDS", 0.0)


def told(*words: str) -> str:
    out = StringIO()
    call_command("counters", "partitions", *words, stdout=out)
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
    events.add_many(
        [
            events.NewEvent("test", "hits", 1, f"t{i}", MONDAY + timedelta(hours=i))
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


def test_partitions__are_listed_by_the_databases_clock(
    real_now: Callable[[], datetime], committed_namespace: Namespace
) -> None:
    today = real_now()
    committed_namespace.retention = timedelta(days=10)
    committed_namespace.save()
    old = today - timedelta(days=13)
    create.make(old, old, now=old)
    try:
        rows = {row["name"]: row["state"] for row in json.loads(told("--json"))}
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE counters_event_{old:%Y%m%d}")

    assert [name for name, state in rows.items() if state == "now"] == [
        f"counters_event_{today:%Y%m%d}"
    ]
    assert rows[f"counters_event_{today - timedelta(days=2):%Y%m%d}"] == "kept"
    assert rows[f"counters_event_{old:%Y%m%d}"] == "past retention"


def test_partitions__are_past_retention_where_no_namespace_keeps_them(
    monday: None, committed_namespace: Namespace
) -> None:
    told("--make")

    def state() -> str:
        rows = json.loads(told("--json"))
        return next(
            str(row["state"]) for row in rows if row["name"] == "counters_event_200101"
        )

    assert state() == "past retention"
    # Another namespace's events are past their retention; these are not.
    Namespace.objects.create(name="short")
    committed_namespace.retention = timedelta(days=36_500)
    committed_namespace.save()
    assert state() == "kept"


def test_partitions__are_a_line_each_on_a_narrow_terminal(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    screen = StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)

    call_command("counters", "partitions", stdout=screen)

    today = datetime.now(UTC)
    tomorrow = today + timedelta(days=1)
    [line] = [line for line in screen.getvalue().splitlines() if " now" in line]
    assert line.split()[:3] == [
        f"counters_event_{today:%Y%m%d}",
        f"{today:%Y-%m-%d}",
        f"{tomorrow:%Y-%m-%d}",
    ]


@pytest.fixture
def bloated(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A past day whose two indexes are worth rebuilding."""
    monkeypatch.setattr(reindex, "LEAST_BYTES", 64 * 1024)
    with bloated_partition():
        yield


def test_partitions__clears_away_without_beat(committed_namespace: Namespace) -> None:
    for name in ("kept", "gone"):
        events.add(namespace="test", name=name, token="x")
    Claim.objects.update(expires_at=MONDAY)
    Counter.objects.filter(name="gone").delete()

    told_of = json.loads(told("--make", "--json"))

    assert (told_of["expired_claims"], told_of["orphans"]) == (2, 1)
    assert not Claim.objects.exists()
    assert [one.counter_id for one in LastWrite.objects.all()] == [
        Counter.objects.get().pk
    ]


def test_partitions__brings_strays_home_closes_and_drops(monday: None) -> None:
    made = json.loads(told("--make", "--json"))

    assert made["made"] == ["counters_event_200101"]
    assert told("--close", "--dry-run") == (
        "would archive counters_event_200101: 5 events of 1 counter\n"
    )
    assert told("--close") == (
        "archived counters_event_200101: 5 events of 1 counter\n"
    )
    assert told("--make", "--close") == "Nothing to do.\n"
    Closing.objects.update(closed_at=MONDAY)
    assert told("--close").startswith("dropped counters_event_closed_")


def test_partitions__refuses_a_dry_run_of_nothing(db: None) -> None:
    with pytest.raises(CommandError, match="Give --dry-run with --close or --reindex"):
        told("--dry-run")
    with pytest.raises(CommandError, match="and without --make"):
        told("--dry-run", "--reindex", "--make")


def test_partitions__reindexes_what_is_worth_it(bloated: None) -> None:
    would = told("--reindex", "--dry-run")

    assert re.fullmatch(
        rf"(would rebuild {PARTITION}_\S+: \d\.\d MB, 60,000 events\n){{2}}", would
    )
    [first, second] = json.loads(told("--reindex", "--json"))["reindexed"]
    assert first["partition"] == second["partition"] == PARTITION
    assert first["bytes_after"] < 0.75 * first["bytes_before"]
    assert told("--reindex") == "Nothing to do.\n"


def test_partitions__says_what_it_rebuilt_and_what_not(
    bloated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, other = reindex.due()
    outcomes = [
        Rebuilt(index, 1024),
        Rebuilt(other, None, "it is held"),
    ]
    monkeypatch.setattr(reindex, "rebuild_due", lambda: outcomes)

    rebuilt, left = told("--reindex").splitlines()

    assert re.fullmatch(rf"rebuilt {index.name}: \d\.\d MB, now 1\.0 KB", rebuilt)
    assert left == f"left    {other.name}: it is held"


def test_upkeep__reindexes_two_indexes_a_round(
    bloated: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(maintenance, "REINDEXED_A_ROUND", 1)

    maintenance.reindex_partitions()

    [said] = [one for one in caplog.messages if "index" in one]
    assert re.fullmatch(
        rf"Rebuilt the index {PARTITION}_\w+: \d+ bytes in place of \d+\.", said
    )
    assert len(reindex.due()) == 1


def test_upkeep__says_which_index_it_left(
    bloated: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    [index, _] = reindex.due()
    left = Rebuilt(index, None, "it is held")
    monkeypatch.setattr(reindex, "rebuild_due", lambda most: [left])

    maintenance.reindex_partitions()

    assert f"Left the index {index.name}: it is held." in caplog.messages


def test_upkeep__says_what_it_did(
    monday: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    maintenance.make_partitions()
    maintenance.close_partitions()

    assert "Created the partition counters_event_200101." in caplog.messages
    assert "Archived the partition counters_event_200101: 5 events." in caplog.messages


def test_upkeep__of_a_role_that_owns_nothing_warns_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> list[create.Partition]:
        raise ProgrammingError("must be owner") from InsufficientPrivilege()

    monkeypatch.setattr(create, "make_ahead", refuse)
    monkeypatch.setattr(retention, "close_due", refuse)
    monkeypatch.setattr(reindex, "rebuild_due", lambda most: refuse())

    maintenance.make_partitions()
    maintenance.close_partitions()
    maintenance.reindex_partitions()

    assert len(caplog.messages) == 3
    assert all("as the owner" in message for message in caplog.messages)


def test_upkeep__passes_on_any_other_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[create.Partition]:
        raise ProgrammingError("no such table")

    monkeypatch.setattr(create, "make_ahead", fail)

    with pytest.raises(ProgrammingError, match="no such table"):
        maintenance.make_partitions()
