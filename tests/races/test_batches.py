"""Batches and single adds that share tokens: no deadlock, and each token counts once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected

from counters import events as record
from counters.db.statements import affect
from counters.errors import BatchRefused
from counters.events import NewEvent
from counters.models import Counter, Event, Namespace
from counters.recording import tokens
from tests.conftest import Threads
from tests.races.waiting import TIMEOUT_SECONDS, wait_until_somebody_waits_for_a_lock

pytestmark = [
    pytest.mark.race,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers", "committed_namespace"),
]

COUNTERS = 5


def shared(number: int) -> list[NewEvent]:
    """Events whose tokens are of every kind, over some counters."""
    return [
        NewEvent(
            "test",
            f"c{i % COUNTERS}",
            1,
            tokens.new().text if i % 2 else f"order {i}",
        )
        for i in range(number)
    ]


ORDERS: dict[str, Callable[[list[NewEvent], random.Random], list[NewEvent]]] = {
    "forwards": lambda events, _: events,
    "backwards": lambda events, _: events[::-1],
    "shuffled": lambda events, chance: chance.sample(events, len(events)),
}


@pytest.mark.parametrize("counters_are_new", [True, False])
def test_batches__and_single_adds_in_any_order_count_each_token_once(
    threads: Threads, counters_are_new: bool
) -> None:
    events = shared(120)
    if not counters_are_new:
        for i in range(COUNTERS):
            record.add(namespace="test", name=f"c{i}", delta=0)
    workers = 2 * 2 * len(ORDERS)
    start = threading.Barrier(workers, timeout=TIMEOUT_SECONDS)

    def in_a_batch(order: str, number: int) -> int:
        mine = ORDERS[order](events, random.Random(number))
        start.wait()
        return sum(not one.duplicate for one in record.add_many(mine))

    def one_by_one(order: str, number: int) -> int:
        mine = ORDERS[order](events, random.Random(number))
        start.wait()
        new = 0
        for event in mine:
            recorded = record.add(
                namespace=event.namespace,
                name=event.name,
                delta=event.delta,
                token=event.token,
            )
            new += not recorded.duplicate
        return new

    futures = [
        threads.submit(work, order, number)
        for number in range(2)
        for order in ORDERS
        for work in (in_a_batch, one_by_one)
    ]
    new = sum(future.result(TIMEOUT_SECONDS) for future in futures)

    assert new == len(events)
    assert Event.objects.exclude(delta=0).count() == len(events)


@pytest.mark.parametrize("kind", ["uuidv7", "text"])
def test_batches__take_their_keys_in_one_order_whatever_theirs_is(
    threads: Threads, kind: str
) -> None:
    """The twin: two batches in opposite orders are held up half-way.

    Had each taken its keys in its own order, one would now hold the first and want the
    last, the other hold the last and want the first.
    """
    first, middle, last = sorted(
        (tokens.new().text if kind == "uuidv7" else f"order {i}" for i in range(3)),
        key=lambda text: tokens.parse(text).uuid,
    )
    record.add(namespace="test", name="hits", delta=0)

    def batch(*mine: str) -> list[bool]:
        answers = record.add_many(
            [NewEvent("test", "hits", 1, token) for token in mine]
        )
        return [one.duplicate for one in answers]

    with transaction.atomic():
        record.add(namespace="test", name="hits", token=middle)
        one = threads.submit(batch, last, middle, first)
        wait_until_somebody_waits_for_a_lock()
        another = threads.submit(batch, first, middle, last)
        wait_until_somebody_waits_for_a_lock(waiting=2)

    assert one.result(TIMEOUT_SECONDS) == [False, True, False]
    assert another.result(TIMEOUT_SECONDS) == [True, True, True]
    assert Event.objects.exclude(delta=0).count() == 3


def test_batches__create_their_counters_in_one_order_whatever_theirs_is(
    threads: Threads,
) -> None:
    names = [f"new {i}" for i in range(60)]
    workers = 8
    start = threading.Barrier(workers, timeout=TIMEOUT_SECONDS)

    def add(number: int) -> None:
        mine = names[::-1] if number % 2 else names
        start.wait()
        record.add_many([NewEvent("test", name) for name in mine])

    for future in [threads.submit(add, number) for number in range(workers)]:
        future.result(TIMEOUT_SECONDS)

    assert Event.objects.count() == workers * len(names)
    assert Counter.objects.count() == len(names)


def test_create_counters__inserts_them_in_the_order_of_their_names(
    committed_namespace: Namespace,
) -> None:
    """The twin: ids are given in the order in which rows are inserted."""
    names = [f"new {i:03}" for i in range(200)]
    affect(
        connection,
        "counters",
        "create_counters",
        namespace_ids=[committed_namespace.pk] * len(names),
        names=random.Random(1).sample(names, len(names)),
    )

    by_id = Counter.objects.order_by("pk").values_list("name", flat=True)
    assert list(by_id) == names


def test_batches__that_repeat_tokens_in_opposite_orders_end_their_deadlock(
    threads: Threads,
) -> None:
    """A batch that uses a token with and without a time takes its keys in several steps.

    Each has its first claim and waits for the other one's. PostgreSQL ends one of the two,
    which is then recorded again as a whole.
    """
    at = datetime.now(UTC) - timedelta(hours=1)
    record.add(namespace="test", name="hits", delta=0)
    both_have_their_first = threading.Barrier(2, timeout=TIMEOUT_SECONDS)

    def batch(first: str, own: str, last: str) -> list[bool]:
        began: list[None] = []

        def meet(execute: Callable[..., Any], statement: Any, *rest: Any) -> Any:
            result = execute(statement, *rest)
            if "counters_claim" in str(statement) and not began:
                began.append(None)
                both_have_their_first.wait()
            return result

        with connection.execute_wrapper(meet):
            answers = record.add_many(
                [
                    NewEvent("test", "hits", 1, first),
                    NewEvent("test", "hits", 1, own, at),
                    NewEvent("test", "hits", 1, own),
                    NewEvent("test", "hits", 1, last),
                ]
            )
        return [one.duplicate for one in answers]

    one = threads.submit(batch, "x", "one", "y")
    another = threads.submit(batch, "y", "another", "x")

    answers = sorted([one.result(TIMEOUT_SECONDS), another.result(TIMEOUT_SECONDS)])
    assert answers == [[False, False, True, False], [True, False, True, True]]
    assert Event.objects.exclude(delta=0).count() == 4


@pytest.mark.parametrize(("deadlocks", "fails"), [(4, False), (5, True)])
def test_add__tries_again_after_each_of_a_few_deadlocks(
    deadlocks: int, fails: bool
) -> None:
    """After a deadlock, the next try can meet the next one."""
    met: list[None] = []

    def deadlock(execute: Callable[..., Any], statement: Any, *rest: Any) -> Any:
        if "INSERT INTO counters_event" not in str(statement):
            return execute(statement, *rest)
        if len(met) < deadlocks:
            met.append(None)
            raise OperationalError("deadlock detected") from DeadlockDetected()
        return execute(statement, *rest)

    record.add(namespace="test", name="hits", delta=0)
    with connection.execute_wrapper(deadlock):
        if fails:
            with pytest.raises(OperationalError, match="deadlock"):
                record.add(namespace="test", name="hits", token="order 17")
        else:
            record.add(namespace="test", name="hits", token="order 17")

    assert len(met) == deadlocks
    assert Event.objects.exclude(delta=0).count() == (0 if fails else 1)


@pytest.mark.parametrize("kind", ["uuidv7", "text"])
@pytest.mark.parametrize("delta", [1, 2])
@pytest.mark.parametrize("committed", [True, False])
def test_batch__waits_for_a_single_add_of_its_token_to_end(
    threads: Threads, kind: str, delta: int, committed: bool
) -> None:
    """The twin: the single add is not committed when the batch begins."""
    token = tokens.new().text if kind == "uuidv7" else "order 17"
    record.add(namespace="test", name="hits", delta=0)
    batch = [NewEvent("test", "other", 5), NewEvent("test", "hits", delta, token)]
    with transaction.atomic():
        record.add(namespace="test", name="hits", delta=1, token=token)
        waiting = threads.submit(record.add_many, batch)
        wait_until_somebody_waits_for_a_lock()
        if not committed:
            transaction.set_rollback(True)

    if committed and delta == 2:
        with pytest.raises(BatchRefused, match=r"^events\[1\]: token"):
            waiting.result(TIMEOUT_SECONDS)
        assert list(Event.objects.exclude(delta=0).values_list("delta")) == [(1,)]
    else:
        answers = waiting.result(TIMEOUT_SECONDS)
        assert [answer.duplicate for answer in answers] == [False, committed]
        assert sum(Event.objects.values_list("delta", flat=True)) == 5 + delta


@pytest.mark.parametrize("kind", ["uuidv7", "text"])
def test_single_add__waits_for_a_batch_with_its_token_to_end(
    threads: Threads, kind: str
) -> None:
    token = tokens.new().text if kind == "uuidv7" else "order 17"
    record.add(namespace="test", name="hits", delta=0)
    with transaction.atomic():
        [first] = record.add_many([NewEvent("test", "hits", 1, token)])
        waiting = threads.submit(
            record.add, namespace="test", name="hits", delta=1, token=token
        )
        wait_until_somebody_waits_for_a_lock()

    answer = waiting.result(TIMEOUT_SECONDS)
    assert (answer.duplicate, answer.event_time) == (True, first.event_time)
    assert Event.objects.exclude(delta=0).count() == 1
