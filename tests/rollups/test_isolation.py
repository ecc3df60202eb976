"""Our own transactions are READ COMMITTED, even if the role's default level is higher."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from psycopg.errors import SerializationFailure

from counters import events
from counters.db.transactions import alone, own_transaction
from counters.durations import LONGEST
from counters.models import Counter, Event, Namespace
from counters.namespaces import deletion, lookup, settings
from counters.partitions import create
from counters.partitions.create import Partition
from rollups import counts as reading
from rollups.folding import audit, retention
from rollups.folding.fold import fold
from rollups.models import Rollup
from rollups.reading import clear
from tests.conftest import Threads
from tests.races.waiting import TIMEOUT_SECONDS, wait_until_somebody_waits_for_a_lock

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers", "_one_snapshot"),
]

DAY = timedelta(days=1)
OLD_DAY = datetime(2001, 5, 17, tzinfo=UTC)
OLD_PARTITION = Partition("counters_event_20010517", OLD_DAY, OLD_DAY + DAY)


def ask(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone() if cursor.description else None


@pytest.fixture(params=["repeatable read", "serializable"])
def _one_snapshot(
    request: pytest.FixtureRequest, committed_namespace: Namespace
) -> Iterator[None]:
    Namespace.objects.update(accept_past=LONGEST, retention=LONGEST)
    lookup.forget_all()
    role = (
        f"ALTER ROLE CURRENT_USER SET default_transaction_isolation = '{request.param}'"
    )
    ask(role)
    connection.close()
    yield
    ask("ALTER ROLE CURRENT_USER RESET default_transaction_isolation")
    connection.close()
    ask("DROP TABLE IF EXISTS counters_event_20010517")


def add_old(delta: int) -> int:
    recorded = events.add(
        namespace="test",
        name="old",
        delta=delta,
        token=str(delta),
        generation_time=OLD_DAY,
    )
    return recorded.counter_id


def test_fold__counts_events_that_moved_before_it_had_its_locks(
    threads: Threads,
) -> None:
    """Its snapshot would be older than the move, and its plan newer."""
    old = add_old(5)
    with transaction.atomic():
        create._make_one(connection, OLD_PARTITION)
        folded = threads.submit(fold, [old])
        wait_until_somebody_waits_for_a_lock()

    assert folded.result(TIMEOUT_SECONDS).events_of == {old: 1}
    assert Rollup.objects.get().total == 5


def test_fold__of_a_new_counter_waits_for_another_that_makes_its_rollup(
    threads: Threads,
) -> None:
    old = add_old(5)
    with own_transaction():
        Rollup.objects.create(counter_id=old, namespace_id=Namespace.objects.get().pk)
        folded = threads.submit(fold, [old])
        wait_until_somebody_waits_for_a_lock()

    assert folded.result(TIMEOUT_SECONDS).events_of == {old: 1}


def test_close__keeps_what_came_since_its_look() -> None:
    create.make(OLD_DAY, OLD_DAY, now=OLD_DAY)
    fold([add_old(5)])
    Namespace.objects.update(accept_past=DAY, retention=DAY)
    other = connection.copy()

    def add_late(execute: Callable[..., Any], statement: Any, *rest: Any) -> Any:
        if "LOCK TABLE" in str(statement) and Event.objects.count() == 1:
            with other.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO counters_event (counter_id, token, event_time, delta)"
                    " SELECT id, gen_random_uuid(), %s, 1 FROM counters_counter",
                    [OLD_DAY],
                )
        return execute(statement, *rest)

    now = OLD_PARTITION.until + DAY + retention.MARGIN
    try:
        with connection.execute_wrapper(add_late):
            [outcome] = retention.close_due(now=now, wait=lambda seconds: None)
    finally:
        other.close()

    assert outcome.kept_because == "events were added to it just now; try again"
    assert Event.objects.count() == 2


def test_delete__waits_for_an_add_that_is_under_way(threads: Threads) -> None:
    old = add_old(5)
    with own_transaction():
        # The connection's own last write, which the deletion comes to.
        add_old(6)
        deleted = threads.submit(
            deletion.delete_counter, namespace="test", name="old", confirm="old"
        )
        wait_until_somebody_waits_for_a_lock()

    assert deleted.result(TIMEOUT_SECONDS).events == 2
    assert not Counter.objects.filter(pk=old).exists()


def test_repair__and_audit_go_by_a_snapshot_of_their_own(threads: Threads) -> None:
    old = add_old(5)
    fold([old])
    with transaction.atomic():
        # Moved meanwhile: the audit waits, and must not use the earlier partitions.
        create._make_one(connection, OLD_PARTITION)
        audited = threads.submit(audit.audit_some, [old])
        repaired = threads.submit(audit.repair, [old])
        wait_until_somebody_waits_for_a_lock(waiting=2)

    assert [one.is_right for one in audited.result(TIMEOUT_SECONDS)] == [True]
    assert repaired.result(TIMEOUT_SECONDS) == {old}
    assert Rollup.objects.get().total == 5


def test_first_add__in_a_callers_block_fails_so_that_it_is_repeated() -> None:
    """Another connection creates the counter, and this block's snapshot is older."""

    def first_add() -> None:
        with transaction.atomic():
            Namespace.objects.count()
            events.add(namespace="test", name="new")

    with pytest.raises(OperationalError) as failed:
        first_add()
    assert isinstance(failed.value.__cause__, SerializationFailure)

    first_add()
    assert Event.objects.count() == 1


def test_own_transaction__leaves_the_callers_own_as_they_were() -> None:
    level = ask("SHOW default_transaction_isolation")
    with own_transaction():
        assert ask("SHOW transaction_isolation") == ("read committed",)

    with transaction.atomic():
        assert ask("SHOW transaction_isolation") == level
        assert ask("SHOW idle_in_transaction_session_timeout") == ("0",)
        with own_transaction():
            assert ask("SHOW transaction_isolation") == level
            assert ask("SHOW idle_in_transaction_session_timeout") == ("0",)


def test_alone__tries_again_under_read_committed() -> None:
    """The second try must not fail because yet another transaction was quicker."""
    others_are_always_quicker = """
    DO $$ BEGIN
      IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE serialization_failure;
      END IF;
    END $$
    """
    alone(lambda: ask(others_are_always_quicker))


def test_add__of_a_token_that_is_just_used_is_a_duplicate(threads: Threads) -> None:
    """Outside of a block the second try sees the first use."""
    add_old(6)
    with own_transaction():
        add_old(5)
        repeated = threads.submit(
            events.add,
            namespace="test",
            name="old",
            delta=5,
            token="5",
            generation_time=OLD_DAY,
        )
        wait_until_somebody_waits_for_a_lock()

    assert repeated.result(TIMEOUT_SECONDS).duplicate
    assert Event.objects.count() == 2


def test_mixed_batch__creates_a_counter_in_each_of_its_steps() -> None:
    """One snapshot would see neither; and the batch is tried twice only."""
    recorded = events.add_many(
        [
            events.NewEvent("test", "a", 1, "t", OLD_DAY),
            events.NewEvent("test", "a", 1, "t"),
            events.NewEvent("test", "b"),
        ]
    )

    assert [one.duplicate for one in recorded] == [False, True, False]


@pytest.mark.parametrize(
    "use",
    [
        lambda: reading.get(namespace="test", name="old", accuracy="accurate"),
        lambda: clear.clear(namespace="test", name="old"),
        lambda: settings.change("test", {"accept_past_seconds": 8 * 86_400}),
    ],
    ids=["accurate read", "clear", "wider window"],
)
def test_callers_block__is_repeated_where_partitions_changed_since_its_snapshot(
    threads: Threads, use: Callable[[], object]
) -> None:
    """Its snapshot does not see the partition that its events are in now."""
    add_old(5)
    Namespace.objects.update(accept_past=DAY)

    def use_late(meanwhile: Callable[[], object]) -> object:
        with transaction.atomic():
            Namespace.objects.count()
            threads.submit(meanwhile).result(TIMEOUT_SECONDS)
            return use()

    with pytest.raises(OperationalError) as failed:
        use_late(lambda: create.make(OLD_DAY, OLD_DAY, now=OLD_DAY))
    assert isinstance(failed.value.__cause__, SerializationFailure)

    use_late(lambda: None)


def test_read__outside_of_a_block_sees_what_moved_before_its_snapshot(
    threads: Threads,
) -> None:
    """Its snapshot is older than the lock that it waits for."""
    add_old(5)
    with transaction.atomic():
        create._make_one(connection, OLD_PARTITION)
        read = threads.submit(
            reading.get, namespace="test", name="old", accuracy="accurate"
        )
        wait_until_somebody_waits_for_a_lock()

    assert read.result(TIMEOUT_SECONDS).count == 5


@pytest.mark.parametrize("in_a_batch", [False, True])
def test_callers_block__finds_a_tokens_first_use_that_moved_since_its_snapshot(
    threads: Threads, in_a_batch: bool
) -> None:
    """Its snapshot sees the use in the default partition, which the look always reads."""
    first = events.add(
        namespace="test", name="old", delta=5, token="t", generation_time=OLD_DAY
    )
    with transaction.atomic():
        Namespace.objects.count()
        threads.submit(create.make, OLD_DAY, OLD_DAY, now=OLD_DAY).result(
            TIMEOUT_SECONDS
        )
        event = events.NewEvent("test", "old", 5, "t")
        again = (
            events.add_many([event])[0]
            if in_a_batch
            else events.add(namespace="test", name="old", delta=5, token="t")
        )

    assert (again.duplicate, again.event_time) == (True, first.event_time)
    assert Event.objects.count() == 1
