from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext

from counters import events
from counters.db.statements import load
from counters.models import Counter, Event, LastWrite, Namespace
from rollups import counts
from rollups.folding import fold
from rollups.models import Bucket, Rollup
from rollups.reading import listing
from rollups.reading.many import CounterName, get_many
from tests.conftest import Threads
from tests.factories import fold_all
from tests.races.waiting import TIMEOUT_SECONDS

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]


@contextmanager
def other_connection() -> Iterator[BaseDatabaseWrapper]:
    """A second connection, so that one thread can put two transactions in order."""
    other = connection.copy()
    try:
        yield other
    finally:
        other.close()


def add_on(
    other: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch, delta: int = 1
) -> None:
    """Add to `hits` through another connection."""
    with monkeypatch.context() as patch:
        patch.setattr("counters.recording.record.connections", {"default": other})
        events.add(namespace="test", name="hits", delta=delta)


SECOND_ADDS: dict[str, Callable[[], object]] = {
    "timed": lambda: events.add(
        namespace="test", name="hits", token="b", generation_time=datetime.now(UTC)
    ),
    "without a time": lambda: events.add(namespace="test", name="hits", token="b"),
    "batch": lambda: events.add_many([events.NewEvent("test", "hits", 1, "b")]),
}


@pytest.mark.parametrize("second", SECOND_ADDS.values(), ids=SECOND_ADDS)
@pytest.mark.parametrize("offset", [timedelta(minutes=-9), timedelta(minutes=4)])
def test_fold__takes_all_that_one_connection_added_whatever_the_event_times(
    committed_namespace: Namespace,
    rollup_of: Callable[[str], Rollup],
    offset: timedelta,
    second: Callable[[], object],
) -> None:
    """Its last write spans both times: it widens, and never moves."""
    at = datetime.now(UTC) + offset
    events.add(namespace="test", name="hits", token="a", generation_time=at)
    second()

    fold_all()

    assert rollup_of("hits").total == 2


def test_fold__adds_events_to_the_rollup(
    committed_namespace: Namespace, rollup_of: Callable[[str], Rollup]
) -> None:
    for delta in (5, -2, 10):
        recorded = events.add(namespace="test", name="hits", delta=delta)

    folded = fold.fold([recorded.counter_id])

    rollup = rollup_of("hits")
    assert rollup.total == 13
    assert rollup.events == 3
    assert folded.events_of == {recorded.counter_id: 3}
    assert folded.still_pending == frozenset()
    assert not LastWrite.objects.exists()
    assert rollup.watermark_at is not None
    assert rollup.last_write_at is not None
    assert rollup.last_write_at <= rollup.watermark_at


def test_fold__of_nothing_is_one_statement(committed_namespace: Namespace) -> None:
    counter_id = events.add(namespace="test", name="hits").counter_id
    fold.fold([counter_id])

    with CaptureQueriesContext(connection) as queries:
        folded = fold.fold([counter_id])

    assert len(queries) == 1
    assert folded == fold.Folded()


def test_fold__repeated_changes_nothing(committed_namespace: Namespace) -> None:
    counter_id = events.add(namespace="test", name="hits", delta=4).counter_id
    fold.fold([counter_id])
    before = list(Rollup.objects.values())

    fold.fold([counter_id])

    assert list(Rollup.objects.values()) == before


def test_fold__takes_many_counters_at_once(committed_namespace: Namespace) -> None:
    events.add_many([events.NewEvent("test", f"c{i % 30}", i) for i in range(300)])

    fold_all()

    totals = dict(Rollup.objects.values_list("counter__name", "total"))
    assert totals == {f"c{i}": sum(range(i, 300, 30)) for i in range(30)}


def test_fold__ignores_counters_that_do_not_exist(
    committed_namespace: Namespace,
) -> None:
    assert fold.fold([987_654]) == fold.Folded()
    assert not Rollup.objects.exists()


def test_fold__keeps_totals_beyond_bigint(
    committed_namespace: Namespace, rollup_of: Callable[[str], Rollup]
) -> None:
    for _ in range(3):
        events.add(namespace="test", name="hits", delta=2**63 - 1)
        fold_all()

    assert rollup_of("hits").total == 3 * (2**63 - 1)


def test_fold__refuses_to_run_in_a_callers_transaction(
    committed_namespace: Namespace,
) -> None:
    counter_id = events.add(namespace="test", name="hits").counter_id

    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        fold.fold([counter_id])


def test_fold__counts_a_transaction_that_commits_late(
    committed_namespace: Namespace,
    monkeypatch: pytest.MonkeyPatch,
    rollup_of: Callable[[str], Rollup],
) -> None:
    events.add(namespace="test", name="hits", delta=1)
    with other_connection() as late:
        late.set_autocommit(False)
        add_on(late, monkeypatch, delta=100)
        for _ in range(3):
            events.add(namespace="test", name="hits", delta=1)
            fold_all()
        assert rollup_of("hits").total == 4
        late.commit()

    fold_all()
    assert rollup_of("hits").total == 104
    fold_all()
    assert rollup_of("hits").total == 104


def test_fold__never_counts_a_transaction_that_rolls_back_late(
    committed_namespace: Namespace,
    monkeypatch: pytest.MonkeyPatch,
    rollup_of: Callable[[str], Rollup],
) -> None:
    events.add(namespace="test", name="hits", delta=1)
    with other_connection() as late:
        late.set_autocommit(False)
        add_on(late, monkeypatch, delta=100)
        fold_all()
        late.rollback()

    events.add(namespace="test", name="hits", delta=1)
    fold_all()
    assert rollup_of("hits").total == 2


def test_fold__skips_a_counter_that_another_fold_holds(
    committed_namespace: Namespace,
) -> None:
    mine = events.add(namespace="test", name="mine").counter_id
    theirs = events.add(namespace="test", name="theirs").counter_id
    Rollup.objects.create(counter_id=theirs, namespace_id=committed_namespace.pk)
    with other_connection() as other:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(load("rollups", "lock_rollups"), {"counter_ids": [theirs]})

        folded = fold.fold([mine, theirs])

        other.rollback()
    assert folded.events_of == {mine: 1}
    assert folded.still_pending == {theirs}


def test_fold__does_not_count_again_what_the_fold_it_waited_out_counted(
    committed_namespace: Namespace,
    monkeypatch: pytest.MonkeyPatch,
    rollup_of: Callable[[str], Rollup],
) -> None:
    """Another fold commits between this one's look for work and its lock."""
    events.add(namespace="test", name="hits", delta=5)
    original = fold._ids
    folds_inside: list[int] = []

    def fold_first(statement: str, counter_ids: list[int]) -> set[int]:
        if statement == "lock_rollups" and not folds_inside:
            folds_inside.append(1)
            with other_connection() as other, monkeypatch.context() as patch:
                patch.setattr("rollups.folding.fold.connection", other)
                with other.cursor() as cursor:
                    cursor.execute(
                        load("rollups", "fold_events"),
                        {"counter_ids": list(counter_ids)},
                    )
        return original(statement, counter_ids)

    monkeypatch.setattr(fold, "_ids", fold_first)
    fold_all()

    assert folds_inside
    assert rollup_of("hits").total == 5
    assert rollup_of("hits").events == 1


def test_fold__interrupted_after_its_commit_is_repeated_to_no_effect(
    committed_namespace: Namespace,
    monkeypatch: pytest.MonkeyPatch,
    rollup_of: Callable[[str], Rollup],
) -> None:
    events.add(namespace="test", name="hits", delta=5)
    original = fold._ids

    def crash(statement: str, counter_ids: list[int]) -> set[int]:
        if statement == "remove_settled":
            raise KeyboardInterrupt
        return original(statement, counter_ids)

    with monkeypatch.context() as patch:
        patch.setattr(fold, "_ids", crash)
        with pytest.raises(KeyboardInterrupt):
            fold_all()
    assert LastWrite.objects.count() == 1

    folded = fold_all()

    assert rollup_of("hits").total == 5
    assert folded.events == 0
    assert not LastWrite.objects.exists()


def test_fold__interrupted_before_its_commit_changes_nothing(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    events.add(namespace="test", name="hits", delta=5)
    original = fold._fold_locked

    def crash(locked: set[int]) -> dict[int, int]:
        original(locked)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fold, "_fold_locked", crash)
        with pytest.raises(KeyboardInterrupt):
            fold_all()

    assert Rollup.objects.get().total == 0
    assert not Bucket.objects.exists()
    fold_all()
    assert Rollup.objects.get().total == 5


def test_fold__keeps_the_last_write_of_a_slot_that_was_written_again(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same connection, same slot: written between the fold's commit and the removal."""
    counter_id = events.add(namespace="test", name="hits").counter_id
    original = fold._ids

    def write_first(statement: str, counter_ids: list[int]) -> set[int]:
        if statement == "remove_settled":
            events.add(namespace="test", name="hits", delta=7)
        return original(statement, counter_ids)

    with monkeypatch.context() as patch:
        patch.setattr(fold, "_ids", write_first)
        folded = fold_all()

    assert folded.still_pending == {counter_id}
    assert LastWrite.objects.count() == 1
    fold_all()
    assert Rollup.objects.get().total == 8


def test_remove_settled__skips_a_row_that_a_writer_holds(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with other_connection() as other:
        add_on(other, monkeypatch)
        counter_id = LastWrite.objects.get().counter_id
        other.set_autocommit(False)
        add_on(other, monkeypatch, delta=10)

        folded = fold.fold([counter_id])

        assert folded.events_of == {counter_id: 1}
        other.commit()
    assert LastWrite.objects.count() == 1
    fold_all()
    assert Rollup.objects.get().total == 11


def test_fold__puts_late_events_into_their_own_buckets(
    committed_namespace: Namespace,
) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(
        hours=3
    )
    times = [hour, hour + timedelta(seconds=59.999999), hour + timedelta(minutes=1)]
    for index, at in enumerate(times):
        events.add(
            namespace="test",
            name="hits",
            delta=10**index,
            token=f"t{index}",
            generation_time=at,
        )
        fold_all()

    first, second = Bucket.objects.order_by("bucket_at")
    assert (first.bucket_at, int(first.delta), first.events) == (hour, 11, 2)
    assert second.bucket_at == hour + timedelta(minutes=1)
    assert (int(second.delta), second.events) == (100, 1)


@pytest.mark.parametrize(("size", "buckets"), [("minute", 3), ("hour", 2), ("day", 1)])
def test_fold__buckets_by_the_namespaces_size(
    committed_namespace: Namespace, size: str, buckets: int
) -> None:
    committed_namespace.bucket_size = size
    committed_namespace.accept_past = timedelta(days=4)
    committed_namespace.save()
    day = datetime.now(UTC).replace(
        hour=0, minute=0, second=0, microsecond=0
    ) - timedelta(days=2)
    for index, minutes in enumerate((1, 59, 61)):
        events.add(
            namespace="test",
            name="hits",
            token=f"t{index}",
            generation_time=day + timedelta(minutes=minutes),
        )

    fold_all()

    assert Bucket.objects.count() == buckets
    assert sum(bucket.delta for bucket in Bucket.objects.all()) == 3


def test_fold__never_moves_a_watermark_back(committed_namespace: Namespace) -> None:
    seen: list[tuple[int, datetime]] = []
    for _ in range(5):
        events.add(namespace="test", name="hits")
        fold_all()
        rollup = Rollup.objects.get()
        assert rollup.watermark_at is not None
        seen.append((int(rollup.watermark.split(":")[1]), rollup.watermark_at))

    assert seen == sorted(seen)
    assert len(set(seen)) == 5


def test_fold__covers_every_partition_that_has_pending_events(
    committed_namespace: Namespace,
) -> None:
    now = datetime.now(UTC)
    times = [
        now - timedelta(days=400),
        now - timedelta(days=1),
        now,
        now + timedelta(days=300),
    ]
    events.add_many(
        [events.NewEvent("test", "hits", 1, f"t{i}", at) for i, at in enumerate(times)],
        any_age=True,
    )

    fold_all()

    assert Rollup.objects.get().events == len(times) == Event.objects.count()


@pytest.mark.django_db
@pytest.mark.parametrize("in_parts", [False, True], ids=["whole", "in parts"])
def test_fold__leaves_what_its_own_transaction_added(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch, in_parts: bool
) -> None:
    """As in a test that never commits, beside others on one server (pytest-xdist).

    A snapshot does not list its own transaction. If a later one has ended, it seems to cover it.
    """
    if in_parts:
        monkeypatch.setattr(fold, "MOST_EVENTS", 1)
        monkeypatch.setattr(fold, "FAR_BEHIND", timedelta(seconds=-1))
        monkeypatch.setattr(fold, "_LEAST_EVENTS", 1)
    for _ in range(3):
        counter_id = events.add(namespace="test", name="hits").counter_id
        with psycopg.connect(**connection.get_connection_params()) as other:
            other.execute("SELECT pg_current_xact_id()")
        fold.fold([counter_id])

    assert Rollup.objects.get().total == 0
    assert LastWrite.objects.exists()
    found = counts.get(namespace="test", name="hits", accuracy="accurate")
    assert found.count == 3
    assert found.pending


def test_fold__leaves_out_a_new_counter_that_is_being_deleted(
    committed_namespace: Namespace, threads: Threads
) -> None:
    """Its rollup would break the foreign key, and all of the fold would fail."""
    ids = [
        events.add(namespace="test", name=name).counter_id for name in ("gone", "hits")
    ]
    with transaction.atomic():
        Counter.objects.select_for_update().get(name="gone")
        folded = threads.submit(fold.fold, ids).result(TIMEOUT_SECONDS)

    assert folded.events_of == {ids[1]: 1}
    assert Rollup.objects.get().pk == ids[1]


@pytest.mark.parametrize("in_parts", [False, True], ids=["whole", "in parts"])
def test_fold__never_moves_the_last_write_back(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch, in_parts: bool
) -> None:
    """The clock may be set back between two folds."""
    counter_id = events.add(namespace="test", name="hits").counter_id
    fold.fold([counter_id])
    later = datetime.now(UTC) + timedelta(hours=1)
    Rollup.objects.update(last_write_at=later)
    if in_parts:
        monkeypatch.setattr(fold, "MOST_EVENTS", 1)
        monkeypatch.setattr(fold, "FAR_BEHIND", timedelta(seconds=-1))
        monkeypatch.setattr(fold, "_LEAST_EVENTS", 1)
    for _ in range(3):
        events.add(namespace="test", name="hits")

    assert fold.fold([counter_id]).partly == ({counter_id} if in_parts else set())

    assert Rollup.objects.get().last_write_at == later
    reads = [
        counts.get(namespace="test", name="hits", accuracy="eventual"),
        counts.get(namespace="test", name="hits", accuracy="accurate"),
        listing.list_counters(namespace="test").readings[0],
        get_many([CounterName("test", "hits")])[0],
        get_many([CounterName("test", "hits")], accuracy="accurate")[0],
    ]
    assert {one.last_write_at for one in reads} == {later}
