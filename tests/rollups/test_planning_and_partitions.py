"""Partitions that are made while a statement over the events is being planned.

The planner lists the partitions, then locks them one by one, the default one last. A lock on
the first of them stops a statement between the two. `tests/interleavings/` runs the same steps
in every order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from django.db import connection

from counters import events
from counters.db import locks
from counters.db.statements import load
from counters.durations import LONGEST
from counters.models import Namespace
from counters.namespaces import lookup
from counters.partitions import create
from counters.partitions.create import Partition
from rollups import counts as reading
from rollups.folding import audit, cluster_identity
from rollups.folding.fold import fold
from rollups.models import Rollup
from rollups.reading import clear
from tests.conftest import Threads
from tests.races.waiting import TIMEOUT_SECONDS, wait_until_somebody_waits_for_a_lock

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers", "hits"),
]

T = TypeVar("T")
NEW_DAY = datetime(2001, 5, 17, tzinfo=UTC)
NEW_PARTITION = Partition(
    "counters_event_20010517", NEW_DAY, NEW_DAY + timedelta(days=1)
)


@pytest.fixture
def hits(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> Iterator[int]:
    """The id of a counter with one event that is folded and one that is pending."""
    Namespace.objects.update(accept_past=LONGEST, retention=LONGEST)
    lookup.forget_all()
    monkeypatch.setattr(locks, "ATTEMPTS", 1)
    counter_id = events.add(namespace="test", name="hits", delta=100).counter_id
    fold([counter_id])
    events.add(namespace="test", name="hits", delta=10)
    yield counter_id
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS counters_event_20010517")


def add_into_a_new_partition() -> None:
    """Add 1 at a day that has no partition yet.

    Where a partition may not be attached at the moment, the event goes into the default one.
    """
    # Not `make`: it lists the partitions first, and so waits for the one that is locked here.
    create._make_patiently(connection, NEW_PARTITION)
    events.add(namespace="test", name="hits", token="t", generation_time=NEW_DAY)


def while_planned(
    threads: Threads, work: Callable[[], T], meanwhile: Callable[[], None]
) -> T:
    """Run `meanwhile` while a statement of `work` has listed the partitions."""
    first = create.existing()[0].name
    holder = connection.copy()
    try:
        holder.set_autocommit(False)
        with holder.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {first} IN ACCESS EXCLUSIVE MODE")
        # A new connection: its first plans are made now.
        running = threads.submit(work)
        wait_until_somebody_waits_for_a_lock(table=first)
        meanwhile()
    finally:
        holder.close()
    result: T = running.result(TIMEOUT_SECONDS)
    return result


def assert_exact(counter_id: int, count: int) -> None:
    fold([counter_id])
    eventual = reading.get(namespace="test", name="hits", accuracy="eventual")
    assert (eventual.count, eventual.pending) == (count, False)
    [audited] = audit.audit_some([counter_id])
    assert (audited.is_right, audited.total) == (True, count)


def test_fold__counts_what_comes_into_a_partition_that_its_plan_does_not_know(
    hits: int, threads: Threads
) -> None:
    while_planned(threads, lambda: fold([hits]), add_into_a_new_partition)

    assert_exact(hits, 111)


def test_fold__in_parts_counts_what_comes_into_a_new_partition(
    hits: int, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollups.folding.fold.FAR_BEHIND", timedelta(0))

    while_planned(threads, lambda: fold([hits]), add_into_a_new_partition)

    assert_exact(hits, 111)


def test_repair__counts_what_comes_into_a_new_partition(
    hits: int, threads: Threads
) -> None:
    while_planned(threads, lambda: audit.repair([hits]), add_into_a_new_partition)

    assert_exact(hits, 111)


def test_reanchor__counts_what_comes_into_a_new_partition(
    hits: int, threads: Threads
) -> None:
    while_planned(threads, cluster_identity.reanchor, add_into_a_new_partition)

    assert_exact(hits, 111)


def test_clear__takes_off_what_was_added_before_its_snapshot(
    hits: int, threads: Threads
) -> None:
    cleared = while_planned(
        threads,
        lambda: clear.clear(namespace="test", name="hits"),
        add_into_a_new_partition,
    )

    assert cleared.count_before == 111
    assert_exact(hits, 0)


def test_audit__sees_no_difference_where_an_event_came_into_a_new_partition(
    hits: int, threads: Threads
) -> None:
    def add_and_fold() -> None:
        add_into_a_new_partition()
        # Like a fold that was planned later. A real fold would wait at the lock that holds up
        # the audit.
        is_attached = connection.introspection.table_names()
        table = (
            NEW_PARTITION.name
            if NEW_PARTITION.name in is_attached
            else "counters_event_default"
        )
        fold_of_one_table = load("rollups", "fold_events").replace(
            "FROM counters_event\n", f"FROM {table}\n"
        )
        with connection.cursor() as cursor:
            cursor.execute(fold_of_one_table, {"counter_ids": [hits]})
        assert Rollup.objects.get().total == 111

    fold([hits])
    batches = while_planned(threads, lambda: list(audit.audit()), add_and_fold)

    assert [one.is_right for batch in batches for one in batch] == [True]


def test_accurate_read__has_every_event_up_to_its_as_of(
    hits: int, threads: Threads
) -> None:
    """An event that comes while the read is planned may be missing: it is after as_of."""
    added_after: list[datetime] = []

    def note_the_time_and_add() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT statement_timestamp()")
            added_after.append(cursor.fetchone()[0])
        add_into_a_new_partition()

    read = while_planned(
        threads,
        lambda: reading.get(namespace="test", name="hits", accuracy="accurate"),
        note_the_time_and_add,
    )

    assert read.count in {110, 111}
    assert read.as_of < added_after[0]


@pytest.mark.parametrize("statement", ["lock_rollups", "lock_for_clear"])
def test_lock__keeps_the_partitions_as_they_are(hits: int, statement: str) -> None:
    """Also where the server keeps the statement's plan, as it does from the sixth time on."""
    own = connection.copy()
    namespace_id = Namespace.objects.get().pk
    parameters = {"counter_ids": [hits], "namespace_id": namespace_id, "name": "hits"}
    try:
        for _ in range(8):
            own.set_autocommit(False)
            with own.connection.cursor() as cursor:
                cursor.execute(load("rollups", statement), parameters, prepare=True)
                cursor.execute(
                    "SELECT relation::regclass::text FROM pg_locks"
                    " WHERE pid = pg_backend_pid() AND mode = 'AccessShareLock'"
                )
                locked = {table for (table,) in cursor}
            own.rollback()
            assert locked >= {"counters_event", "counters_event_default"}
    finally:
        own.close()
