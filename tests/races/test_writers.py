"""Writers of one counter do not wait for each other, nor for a fold."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import wait
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction
from psycopg.errors import SerializationFailure

from counters import events
from counters.db.statements import load
from counters.errors import TokenConflict
from counters.models import Event, LastWrite, Namespace
from counters.recording import tokens
from counters.recording.duplicates import Recorded
from rollups.models import Rollup
from tests.conftest import Threads
from tests.factories import one_snapshot, timed_and_untimed
from tests.races.waiting import TIMEOUT_SECONDS, wait_until_somebody_waits_for_a_lock

pytestmark = [
    pytest.mark.race,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers", "committed_namespace"),
]

WRITERS = 16


def add_with_a_short_lock_timeout(delta: int = 1) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '2s'")
    events.add(namespace="test", name="hot", delta=delta)


@pytest.mark.parametrize("counter_is_new", [True, False])
def test_add__does_not_wait_for_an_open_transaction(
    threads: Threads, counter_is_new: bool
) -> None:
    """Fifteen writers finish while the sixteenth keeps its transaction open."""
    if not counter_is_new:
        events.add(namespace="test", name="hot", delta=0)
    with transaction.atomic():
        events.add(namespace="test", name="hot")

        others = [
            threads.submit(add_with_a_short_lock_timeout) for _ in range(WRITERS - 1)
        ]
        done, waiting = wait(others, TIMEOUT_SECONDS)
        for other in done:
            other.result()
        assert not waiting
    assert Event.objects.filter(delta=1).count() == WRITERS


def test_add__does_not_deadlock_whatever_the_order_of_counters(
    threads: Threads,
) -> None:
    names = [f"c{i}" for i in range(8)]
    start = threading.Barrier(WRITERS, timeout=TIMEOUT_SECONDS)

    def add_in_order(ordered: list[str]) -> None:
        start.wait()
        with transaction.atomic():
            for name in ordered:
                events.add(namespace="test", name=name)

    orders = [names, names[::-1]] * (WRITERS // 2)
    for future in [threads.submit(add_in_order, order) for order in orders]:
        future.result(TIMEOUT_SECONDS)

    assert Event.objects.count() == WRITERS * len(names)


def test_add__does_not_wait_for_a_fold(threads: Threads) -> None:
    """A fold's transaction stays open, its rollup locked and updated."""
    counter_id = events.add(namespace="test", name="hot").counter_id
    Rollup.objects.create(
        counter_id=counter_id, namespace_id=Namespace.objects.get().pk
    )
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in ("lock_rollups", "fold_events"):
            cursor.execute(load("rollups", statement), {"counter_ids": [counter_id]})

        threads.submit(add_with_a_short_lock_timeout).result(TIMEOUT_SECONDS)

    assert Event.objects.count() == 2
    # Writers on other connections, other slots.
    assert LastWrite.objects.count() == 2


@pytest.mark.parametrize("kind", ["uuidv7", "uuidv4", "text", "timed"])
def test_add__counts_one_token_of_many_threads_once(
    threads: Threads, kind: str
) -> None:
    made: dict[str, Callable[[], str]] = {
        "uuidv7": lambda: tokens.new().text,
        "uuidv4": lambda: str(uuid4()),
        "text": lambda: "order 17",
        "timed": lambda: "order 17",
    }
    token = made[kind]()
    at = datetime.now(UTC) if kind == "timed" else None
    start = threading.Barrier(WRITERS, timeout=TIMEOUT_SECONDS)

    def add() -> Recorded:
        start.wait()
        return events.add(namespace="test", name="hot", token=token, generation_time=at)

    futures = [threads.submit(add) for _ in range(WRITERS)]
    answers = [future.result(TIMEOUT_SECONDS) for future in futures]

    assert sum(not answer.duplicate for answer in answers) == 1
    assert len({answer.event_time for answer in answers}) == 1
    assert Event.objects.count() == 1


@timed_and_untimed
@pytest.mark.parametrize("committed", [True, False])
def test_add__of_a_token_waits_for_its_first_use_to_end(
    threads: Threads, token: str, committed: bool
) -> None:
    """The deterministic twin: the first use is not committed when the second begins."""
    events.add(namespace="test", name="hot", delta=0)
    begun = threading.Event()

    def add_second() -> Recorded:
        begun.set()
        return events.add(namespace="test", name="hot", token=token)

    with transaction.atomic():
        first = events.add(namespace="test", name="hot", token=token)
        second = threads.submit(add_second)
        assert begun.wait(TIMEOUT_SECONDS)
        wait_until_somebody_waits_for_a_lock()
        if not committed:
            transaction.set_rollback(True)

    answer = second.result(TIMEOUT_SECONDS)
    assert answer.duplicate == committed
    if committed:
        assert answer.event_time == first.event_time
    assert Event.objects.exclude(delta=0).count() == 1


@timed_and_untimed
def test_add__of_a_conflicting_pair_takes_exactly_one(
    threads: Threads, token: str
) -> None:
    events.add(namespace="test", name="hot", delta=0)
    start = threading.Barrier(WRITERS, timeout=TIMEOUT_SECONDS)

    def add(delta: int) -> bool:
        start.wait()
        try:
            events.add(namespace="test", name="hot", delta=delta, token=token)
        except TokenConflict:
            return False
        return True

    futures: dict[int, list[Any]] = {1: [], 2: []}
    for number in range(WRITERS):
        delta = number % 2 + 1
        futures[delta].append(threads.submit(add, delta))
    taken = {
        delta: [future.result(TIMEOUT_SECONDS) for future in both]
        for delta, both in futures.items()
    }

    kept = Event.objects.exclude(delta=0).get().delta
    assert all(taken[kept])
    assert not any(taken[3 - kept])


def test_add__with_one_snapshot_a_transaction_fails_where_it_would_see_a_repeat(
    threads: Threads,
) -> None:
    """What counters.W007 warns of. Nothing is counted twice, and sent again it is a repeat."""
    add = partial(
        events.add,
        namespace="test",
        name="hot",
        token=str(uuid4()),
        generation_time=datetime.now(UTC),
    )
    with one_snapshot():
        threads.submit(add).result()
        with pytest.raises(OperationalError) as failed:
            add()
        transaction.set_rollback(True)

    assert isinstance(failed.value.__cause__, SerializationFailure)
    assert add().duplicate


def test_add_many__batches_with_shared_tokens_do_not_deadlock(threads: Threads) -> None:
    shared = [f"t{i}" for i in range(200)]
    timed = [tokens.new().text for _ in range(200)]
    start = threading.Barrier(WRITERS, timeout=TIMEOUT_SECONDS)

    def add(number: int) -> int:
        batch = [
            events.NewEvent("test", f"c{i % 9}", 1, token)
            for i, token in enumerate(shared + timed)
        ]
        start.wait()
        answers = events.add_many(batch[::-1] if number % 2 else batch)
        return sum(not answer.duplicate for answer in answers)

    futures = [threads.submit(add, number) for number in range(WRITERS)]
    new = sum(future.result(TIMEOUT_SECONDS) for future in futures)

    assert new == Event.objects.count() == 400
