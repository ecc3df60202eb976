from __future__ import annotations

import json
import time
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rich.console import Console

from counters import events as record
from counters.models import LastWrite, Namespace
from rollups.commands import top
from rollups.folding.fold import fold
from rollups.reading import busiest

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)


def add(name: str, events: int, *, namespace: str = "test") -> None:
    record.add_many([record.NewEvent(namespace, name, 2)] * events)
    fold(set(LastWrite.objects.values_list("counter_id", flat=True)))


def test_compare__ranks_by_what_was_folded_between_the_looks(
    committed_namespace: Namespace,
) -> None:
    add("old", 50)
    add("busy", 1)
    before = busiest.look()
    add("busy", 20)
    add("new", 5)
    record.add(namespace="test", name="busy")

    seen = busiest.compare(
        replace(before, at=0.0), replace(busiest.look(), at=10.0), most=10
    )

    assert [(one.counter.name, one.events_per_second) for one in seen.busiest] == [
        ("busy", 2.0),
        ("new", 0.5),
        ("old", 0.0),
    ]
    first = seen.busiest[0].counter
    assert (first.count, first.events, first.pending) == (42, 21, True)
    assert seen.folds_per_second == 2.5
    assert seen.status.pending == 1


def test_look__asks_a_bounded_number_of_index_entries(
    committed_namespace: Namespace,
) -> None:
    add("hits", 1)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        busiest.look(committed_namespace)

    assert len(queries) == 3


def test_top__writes_lines_for_programs(committed_namespace: Namespace) -> None:
    add("a[b]", 3)
    out = StringIO()

    call_command("counters", "top", "--limit", "1", stdout=out)

    fields = out.getvalue().rstrip("\n").split("\t")
    assert (fields[1], fields[2], fields[5]) == ("6", "3", "test/a[b]")


def test_top__answers_as_json(committed_namespace: Namespace) -> None:
    add("a", 3)
    out = StringIO()

    call_command("counters", "top", "--json", "--namespace", "test", stdout=out)

    told: dict[str, Any] = json.loads(out.getvalue())
    assert told["pending"] == 0
    assert told["busiest"][0]["name"] == "a"


def test_view__shows_names_as_they_are(committed_namespace: Namespace) -> None:
    add("[red]", 3)
    look = busiest.look()
    screen = Console(file=StringIO(), width=120)

    screen.print(top._view(busiest.compare(look, look, most=5)))

    said = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "test/[red]" in said
    assert "adds/s" in said


def test_view__shows_the_whole_name_on_a_narrow_terminal(
    committed_namespace: Namespace,
) -> None:
    add("blog.article:1234567:views", 3)
    look = busiest.look()
    screen = Console(file=StringIO(), width=80)

    screen.print(top._view(busiest.compare(look, look, most=5)))

    said = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "test/blog.article:1234567:views" in "".join(said.split())


def test_top__knows_its_namespace(db: None) -> None:
    with pytest.raises(CommandError, match="There is no namespace 'nope'"):
        call_command("counters", "top", "--namespace", "nope", "--once")
