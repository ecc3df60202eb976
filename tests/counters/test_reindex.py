"""Reindexing: past days' indexes become dense, and nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest
from django.db import OperationalError, connection, connections
from psycopg import errors

from counters import events
from counters.db.statements import fetch
from counters.models import Namespace
from counters.partitions import reindex
from counters.partitions.reindex import Rebuilt
from tests.bloated import (
    COUNTERS,
    DAY,
    EVENTS_EACH,
    PARTITION,
    bloated_partition,
    counted,
)
from tests.factories import open_transaction
from tests.programs import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers", "committed_namespace"),
]
LATE = DAY + timedelta(hours=7)
NEXT_DAY = DAY + timedelta(days=1)


@pytest.fixture(autouse=True)
def _small_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reindex, "LEAST_BYTES", 64 * 1024)


@pytest.fixture
def bloated() -> Iterator[None]:
    with bloated_partition():
        yield


def open_write() -> AbstractContextManager[None]:
    """Another connection's transaction that has added to the partition and stays open."""
    return open_transaction(
        "INSERT INTO counters_event (counter_id, token, event_time, delta)"
        " VALUES (1, gen_random_uuid(), %s, 1)",
        [DAY],
    )


def unfinished() -> list[str]:
    rows = fetch(connection, "counters", "list_unfinished_indexes", partition=PARTITION)
    return [name for (name,) in rows]


def indexes() -> dict[str, bool]:
    """Return the partition's indexes, and whether each is valid and part of a parent's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text, indisvalid AND EXISTS ("
            "  SELECT FROM pg_inherits WHERE inhrelid = indexrelid)"
            " FROM pg_index WHERE indrelid = %s::regclass",
            [PARTITION],
        )
        return dict(cursor.fetchall())


def test_rebuild_due__takes_a_quarter_off_both_indexes(bloated: None) -> None:
    before = indexes()
    waiting = reindex.due(now=NEXT_DAY + timedelta(hours=1))
    assert {index.name for index in waiting} == set(before)

    done = list(reindex.rebuild_due())

    assert len(done) == 2
    for one in done:
        assert one.bytes_after is not None
        assert one.bytes_after < 0.75 * one.index.size_bytes
        # What measure_indexes.sql takes for dense is what PostgreSQL builds.
        entries = COUNTERS * EVENTS_EACH * 44 / 0.9
        assert one.bytes_after == pytest.approx(entries, rel=0.05)
    assert indexes() == dict.fromkeys(before, True)
    assert counted() == COUNTERS * EVENTS_EACH
    assert reindex.due() == []
    assert list(reindex.rebuild_due()) == []


def test_due__waits_for_the_end_of_the_day_and_an_hour(bloated: None) -> None:
    assert reindex.due(now=NEXT_DAY + timedelta(minutes=59)) == []


@pytest.mark.parametrize("is_settled", [False, True])
def test_due__goes_by_the_databases_clock(
    real_now: Callable[[], datetime],
    bloated: None,
    monkeypatch: pytest.MonkeyPatch,
    is_settled: bool,
) -> None:
    early = timedelta(minutes=-3 if is_settled else 3)
    monkeypatch.setattr(reindex, "SETTLED_AFTER", real_now() - NEXT_DAY + early)

    assert bool(reindex.due()) is is_settled


def test_due__leaves_what_is_small(
    bloated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()

    assert reindex.due() == []


def test_due__leaves_what_nobody_has_analysed() -> None:
    with bloated_partition(analysed=False):
        assert reindex.due() == []


def test_rebuild_due__does_as_many_as_it_is_told(bloated: None) -> None:
    [done] = reindex.rebuild_due(most=1)

    [left] = reindex.due()
    assert left.name != done.index.name


def test_rebuild_due__holds_up_no_add_and_misses_none(bloated: None) -> None:
    """Stopped in the middle, by a transaction that was open before it."""
    late = events.NewEvent("test", "hits", 1, "late", LATE)
    done: list[Rebuilt] = []

    def rebuild() -> None:
        try:
            done.extend(reindex.rebuild_due())
        finally:
            connections.close_all()

    thread = threading.Thread(target=rebuild)
    with open_write():
        thread.start()
        try:
            wait_until(_is_held_up, "it does not wait for the open transaction")
            [first] = events.add_many([late], any_age=True)
            [again] = events.add_many([late], any_age=True)
        finally:
            held_up = _is_held_up()
    thread.join(60)

    assert held_up
    assert (first.duplicate, again.duplicate) == (False, True)
    assert len(done) == 2
    assert all(one.bytes_after for one in done)
    # With the one of the open transaction.
    assert counted() == COUNTERS * EVENTS_EACH + 2
    [last] = events.add_many([late], any_age=True)
    assert last.duplicate


def _is_held_up() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE query LIKE 'REINDEX INDEX CONCURRENTLY%' AND wait_event_type = 'Lock')"
        )
        return bool(cursor.fetchone()[0])


def test_rebuild_due__leaves_what_it_cannot_have_and_clears_away_later(
    bloated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindex, "_PATIENCE", "100ms")
    before = indexes()

    with open_write():
        [left] = reindex.rebuild_due(most=1)
        assert left.bytes_after is None
        assert left.kept_because == (
            "transactions that were open before it began are open still"
        )
        # The one in use is in use still; what was begun cannot go before the transaction.
        assert indexes().items() >= before.items()
        assert unfinished()
    list(reindex.rebuild_due())

    assert unfinished() == []
    assert indexes() == dict.fromkeys(before, True)
    assert counted() == COUNTERS * EVENTS_EACH + 1


def test_rebuild_due__says_that_it_was_cut_off_and_raises_what_it_does_not_know(
    bloated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    causes: list[Exception] = [
        errors.DeadlockDetected(),
        errors.QueryCanceled(),
        errors.DiskFull(),
    ]

    def fail(*_: object) -> None:
        raise OperationalError from causes.pop(0)

    monkeypatch.setattr(reindex, "_run", fail)

    for reason in ("a migration, or another rebuild", "it was cancelled"):
        [left] = reindex.rebuild_due(most=1)
        assert left.kept_because is not None
        assert left.kept_because.startswith(reason)
    with pytest.raises(OperationalError):
        list(reindex.rebuild_due())


def test_rebuild_due__leaves_no_connection_behind(
    bloated: None, committed_namespace: Namespace
) -> None:
    def connected() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            )
            return int(cursor.fetchone()[0])

    before = connected()
    list(reindex.rebuild_due(most=1))

    wait_until(lambda: connected() <= before, "its connection is open still")
