"""What a read says that its count holds: nothing committed by `as_of` is missing from it.

A read runs later than its snapshot is taken. So each test takes the snapshot, lets another
session add and commit, and lets the read run only then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from counters import events
from counters.db.statements import load
from counters.models import Namespace
from rollups import counts as reading
from rollups.fields import AttachedCounter
from rollups.folding.fold import fold
from rollups.models import Rollup
from rollups.reading import listing
from rollups.reading.many import CounterName, get_many
from tests.conftest import Threads
from tests.factories import one_snapshot

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]

Read = Callable[[Namespace], reading.Reading]
READS: dict[str, Read] = {
    "eventual": lambda _: reading.get(
        namespace="test", name="hits", accuracy="eventual"
    ),
    "accurate": lambda _: reading.get(
        namespace="test", name="hits", accuracy="accurate"
    ),
    "many": lambda _: get_many([CounterName("test", "hits")])[0],
    "many, accurate": lambda _: get_many(
        [CounterName("test", "hits")], accuracy="accurate"
    )[0],
    "list": lambda namespace: listing.list_counters(namespace=namespace.name).readings[
        0
    ],
}


@pytest.fixture
def counter_id(committed_namespace: Namespace) -> int:
    added = events.add(namespace="test", name="hits", delta=5)
    assert added.counter_id is not None
    fold([added.counter_id])
    return added.counter_id


def add_and_commit() -> datetime:
    events.add(namespace="test", name="hits", delta=7)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        committed_at: datetime = cursor.fetchone()[0]
    return committed_at


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_as_of__is_before_what_a_repeatable_read_does_not_see(
    committed_namespace: Namespace, counter_id: int, threads: Threads, read: Read
) -> None:
    with one_snapshot():
        committed_at = threads.submit(add_and_commit).result()

        answer = read(committed_namespace)

    assert answer.count == 5
    assert answer.as_of < committed_at


EVENTUAL = {name: read for name, read in READS.items() if "accurate" not in name}


@pytest.mark.parametrize("read", EVENTUAL.values(), ids=EVENTUAL)
@pytest.mark.parametrize("caught_up", [False, True])
def test_as_of__is_before_a_pending_add_though_the_clock_was_set_back(
    committed_namespace: Namespace, counter_id: int, read: Read, caught_up: bool
) -> None:
    """The counter was folded earlier; the clock may have reached that time again or not."""
    committed_at = add_and_commit()
    if caught_up:
        Rollup.objects.update(watermark_at=committed_at + timedelta(microseconds=1))
    else:
        Rollup.objects.update(watermark_at=committed_at + timedelta(hours=1))
        # The last write keeps the time of the later add only.
        add_and_commit()

    answer = read(committed_namespace)

    assert answer.pending
    assert answer.as_of < committed_at


@pytest.mark.parametrize(
    "read",
    [
        lambda: get_many([CounterName("test", "hits")])[0],
        lambda: get_many([CounterName("test", "hits")], accuracy="accurate")[0],
        AttachedCounter("test", "hits", "hits").read,
        partial(AttachedCounter("test", "hits", "hits").read, accuracy="accurate"),
    ],
    ids=["many", "many, accurate", "attached", "attached, accurate"],
)
def test_as_of__of_no_counter_is_before_the_one_that_it_does_not_see(
    committed_namespace: Namespace,
    threads: Threads,
    read: Callable[[], reading.Reading],
) -> None:
    with one_snapshot():
        committed_at = threads.submit(add_and_commit).result()

        answer = read()

    assert (answer.counter_id, answer.count) == (None, 0)
    assert answer.as_of < committed_at


@pytest.mark.parametrize(
    "statement",
    [
        "read_eventual",
        "read_accurate",
        "read_counters",
        "read_named_counters",
        "read_named_accurately",
    ],
)
def test_as_of__is_before_what_is_committed_between_bind_and_execute(
    committed_namespace: Namespace, counter_id: int, threads: Threads, statement: str
) -> None:
    """As the driver's two messages: DECLARE takes the snapshot, and FETCH runs with it."""
    namespace_id = committed_namespace.pk
    parameters: dict[str, Mapping[str, Any]] = {
        "read_eventual": {"namespace_id": namespace_id, "name": "hits"},
        "read_accurate": {"namespace_id": namespace_id, "name": "hits"},
        "read_counters": {"counter_ids": [counter_id]},
        "read_named_counters": {"namespace_ids": [namespace_id], "names": ["hits"]},
        "read_named_accurately": {"namespace_ids": [namespace_id], "names": ["hits"]},
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "DECLARE reading CURSOR FOR " + load("rollups", statement),
            parameters[statement],
        )
        committed_at = threads.submit(add_and_commit).result()
        cursor.execute("FETCH reading")
        *_, count, as_of, _, _ = cursor.fetchone()

    assert count == 5
    assert as_of < committed_at
