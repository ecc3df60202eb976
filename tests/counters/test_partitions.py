from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from counters import events
from counters.db.locks import try_patiently
from counters.durations import LONGEST
from counters.models import Counter, Event, Namespace
from counters.namespaces import deletion, lookup
from counters.partitions import create
from counters.partitions.create import Partition
from counters.recording.tokens import digest
from rollups import counts
from rollups.folding.fold import fold
from tests.conftest import Threads
from tests.races.waiting import TIMEOUT_SECONDS, wait_until_somebody_waits_for_a_lock

pytestmark = pytest.mark.usefixtures("triggers")

NOW = datetime(2030, 5, 17, 13, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def rows_in(partition: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {partition}")  # noqa: S608
        return int(cursor.fetchone()[0])


def test_make_ahead__covers_today_and_the_days_around_it(db: None) -> None:
    made = create.make_ahead(now=NOW)

    names = [partition.name for partition in made]
    assert names[0] == "counters_event_20300515"
    assert names[-1] == "counters_event_20300524"
    assert len(names) == 10
    assert made[2].since == datetime(2030, 5, 17, tzinfo=UTC)
    assert made[2].until == datetime(2030, 5, 18, tzinfo=UTC)


STRAY_DAY = datetime(2001, 5, 17, tzinfo=UTC)


def add_stray(name: str) -> None:
    event = events.NewEvent("test", name, 5, name, STRAY_DAY)
    events.add_many([event], any_age=True)


@pytest.fixture
def stray(committed_namespace: Namespace) -> Iterator[Partition]:
    """One event in the default partition, and the partition that it lacks."""
    add_stray("old")
    yield Partition("counters_event_20010517", STRAY_DAY, STRAY_DAY + DAY)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS counters_event_20010517")


def test_make__sees_what_changes_while_it_copies(
    stray: Partition, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the copy: rows are added, repeated, deleted and re-anchored meanwhile."""

    def meanwhile() -> None:
        add_stray("new")
        add_stray("old")
        deletion.delete_counter(namespace="test", name="gone", confirm="gone")
        # As reanchor_rollups.sql does with an event that came with a dump.
        Event.objects.filter(token=digest("kept")).update(xid="3")

    def change_first(connection: Any, work: Callable[[], Any]) -> Any:
        threads.submit(meanwhile).result(TIMEOUT_SECONDS)
        return try_patiently(connection, work)

    add_stray("gone")
    add_stray("kept")
    monkeypatch.setattr(create, "try_patiently", change_first)

    assert create.make(STRAY_DAY, STRAY_DAY, now=STRAY_DAY) == [stray]

    assert rows_in(stray.name) == 3
    assert rows_in("counters_event_default") == 0
    xids = {one.token: str(one.xid) for one in Event.objects.all()}
    assert xids.keys() == {digest("old"), digest("new"), digest("kept")}
    assert xids[digest("kept")] == "3"


def test_make__sees_what_changes_of_equal_events_while_it_copies(
    stray: Partition, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events without tokens: nothing but their number tells them apart."""

    def add_equal(name: str, times: int) -> None:
        event = events.NewEvent("test", name, 1, generation_time=STRAY_DAY)
        events.add_many([event] * times, any_age=True)

    def meanwhile() -> None:
        add_equal("kept", 4)
        add_equal("new", 2)
        deletion.delete_counter(namespace="test", name="gone", confirm="gone")
        # One of the two, as reanchor_rollups.sql does with an event that came with a dump.
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE counters_event_default SET xid = '3' WHERE ctid = ("
                " SELECT ctid FROM counters_event_default WHERE counter_id = %s LIMIT 1)",
                [counter_id_of("moved")],
            )

    def change_first(connection: Any, work: Callable[[], Any]) -> Any:
        threads.submit(meanwhile).result(TIMEOUT_SECONDS)
        return try_patiently(connection, work)

    def counter_id_of(name: str) -> int:
        return Counter.objects.get(name=name).pk

    for name in ("kept", "gone", "moved"):
        add_equal(name, 2)
    monkeypatch.setattr(create, "try_patiently", change_first)

    assert create.make(STRAY_DAY, STRAY_DAY, now=STRAY_DAY) == [stray]

    assert rows_in("counters_event_default") == 0
    found = {
        name: Event.objects.filter(counter_id=counter_id_of(name)).count()
        for name in ("old", "kept", "new", "moved")
    }
    assert found == {"old": 1, "kept": 6, "new": 2, "moved": 2}
    moved = Event.objects.filter(counter_id=counter_id_of("moved"))
    assert moved.filter(xid="3").count() == 1
    assert rows_in(stray.name) == 11


def test_fold__that_is_planned_while_strays_move_counts_them(
    stray: Partition, threads: Threads, counter_id: Callable[[str], int]
) -> None:
    """It waits for the move before it is planned, and takes its snapshot afterwards."""
    old = counter_id("old")
    with transaction.atomic():
        create._make_one(connection, stray)
        # In a connection of its own, whose first plans are made for it alone.
        folded = threads.submit(fold, [old])
        wait_until_somebody_waits_for_a_lock()

    assert folded.result(TIMEOUT_SECONDS).events_of == {old: 1}
    assert counts.get(namespace="test", name="old").count == 5


def read_old() -> int:
    return counts.get(namespace="test", name="old", accuracy="accurate").count


def delete_old() -> int:
    return deletion.delete_counter(namespace="test", name="old", confirm="old").events


@pytest.mark.parametrize(
    ("use", "answer"), [(read_old, 5), (delete_old, 1)], ids=["read", "delete"]
)
def test_statement__that_is_planned_while_strays_move_sees_them(
    stray: Partition, threads: Threads, use: Callable[[], int], answer: int
) -> None:
    """Shows why the whole event table is locked while rows leave the default partition.

    Both uses are one statement and hold no lock before it. If only the default partition were
    locked, they would list the partitions, wait there, and find the events in none of them.
    """
    with transaction.atomic():
        create._make_one(connection, stray)
        used = threads.submit(use)
        wait_until_somebody_waits_for_a_lock()

    assert used.result(TIMEOUT_SECONDS) == answer
    assert Event.objects.count() == 1 - (use is delete_old)


def test_add__on_its_way_to_the_default_partition_finds_the_new_one(
    stray: Partition, threads: Threads
) -> None:
    """It has chosen that one before it waits for its lock, and fails the check there."""

    def add() -> None:
        events.add(namespace="test", name="old", token="new", generation_time=STRAY_DAY)

    Namespace.objects.update(accept_past=LONGEST, retention=LONGEST)
    lookup.forget_all()
    Event.objects.all().delete()
    with transaction.atomic():
        create._make_one(connection, stray)
        added = threads.submit(add)
        wait_until_somebody_waits_for_a_lock()

    added.result(TIMEOUT_SECONDS)
    assert rows_in(stray.name) == 1


def test_make__leaves_a_partition_whose_first_stray_came_just_now(
    stray: Partition, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add_first(connection: Any, work: Callable[[], Any]) -> Any:
        threads.submit(add_stray, "new").result(TIMEOUT_SECONDS)
        return try_patiently(connection, work)

    Event.objects.all().delete()
    with monkeypatch.context() as patched:
        patched.setattr(create, "try_patiently", add_first)
        assert create.make(STRAY_DAY, STRAY_DAY, now=STRAY_DAY) == []
    assert rows_in("counters_event_default") == 1

    assert create.make(STRAY_DAY, STRAY_DAY, now=STRAY_DAY) == [stray]
    assert rows_in(stray.name) == 1


def test_make__builds_the_indexes_before_it_locks(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ATTACH builds those that are missing, while adds wait; else it takes what is there."""

    def look(connection: Any, work: Callable[[], Any]) -> Any:
        before.append(indexes())
        return try_patiently(connection, work)

    def indexes() -> tuple[int, int]:
        """Return how many the table has, and how many of them are part of the parent's."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*), count(inhparent) FROM pg_index"
                " LEFT JOIN pg_inherits ON inhrelid = indexrelid"
                " WHERE indrelid = 'counters_event_20300517'::regclass"
            )
            total, attached = cursor.fetchone()
        return total, attached

    before: list[tuple[int, int]] = []
    monkeypatch.setattr(create, "try_patiently", look)

    create.make(NOW, NOW, now=NOW)

    assert before == [(2, 0)]
    assert indexes() == (2, 2)


def test_make_ahead__does_nothing_the_second_time(db: None) -> None:
    create.make_ahead(now=NOW)

    assert create.make_ahead(now=NOW) == []


def test_make_ahead__adds_what_the_next_day_lacks(db: None) -> None:
    create.make_ahead(now=NOW)

    [made] = create.make_ahead(now=NOW + DAY)

    assert made.name == "counters_event_20300525"


def test_make__takes_whole_months_for_the_long_past(db: None) -> None:
    made = create.make(
        datetime(2013, 1, 31, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC), now=NOW
    )

    assert [partition.name for partition in made] == [
        "counters_event_201301",
        "counters_event_201302",
        "counters_event_201303",
    ]


def test_make__fills_a_month_by_days_where_days_are_there_already(db: None) -> None:
    day = datetime(2013, 2, 10, tzinfo=UTC)
    create.make(day, day, now=day)

    made = create.make(
        datetime(2013, 2, 9, tzinfo=UTC), datetime(2013, 2, 11, tzinfo=UTC), now=NOW
    )

    assert [partition.name for partition in made] == [
        "counters_event_20130209",
        "counters_event_20130211",
    ]


def test_make__moves_what_waits_in_the_default_partition(namespace: Namespace) -> None:
    midnight = datetime(2013, 2, 1, tzinfo=UTC)
    times = [midnight - timedelta(microseconds=1), midnight, midnight + 28 * DAY]
    events.add_many(
        [events.NewEvent("test", "hits", 1, f"t{i}", at) for i, at in enumerate(times)],
        any_age=True,
    )
    before = list(Event.objects.order_by("event_time").values_list("token", "xid"))
    assert rows_in("counters_event_default") == 3

    create.make(midnight, midnight, now=NOW)

    assert rows_in("counters_event_201302") == 1
    assert rows_in("counters_event_default") == 2
    assert (
        list(Event.objects.order_by("event_time").values_list("token", "xid")) == before
    )


def test_existing__are_those_of_the_last_migration_at_least(db: None) -> None:
    there = create.existing()

    today = datetime.now(UTC)
    assert any(partition.since <= today < partition.until for partition in there)
    assert "counters_event_default" not in {partition.name for partition in there}


@pytest.mark.django_db(transaction=True)
def test_make__lets_writers_through(committed_namespace: Namespace) -> None:
    """The locks that making a partition holds at its end do not conflict with an add."""
    events.add(namespace="test", name="hits")
    writer = connection.copy()
    day = datetime(2031, 1, 1, tzinfo=UTC)

    try:
        with transaction.atomic():
            create.make(day, day, now=day)
            with writer.cursor() as cursor:
                cursor.execute("SET lock_timeout = '1s'")
                cursor.execute(
                    "INSERT INTO counters_event (counter_id, token, event_time, delta)"
                    " VALUES (1, gen_random_uuid(), now(), 1)"
                )
            transaction.set_rollback(True)
    finally:
        writer.close()
