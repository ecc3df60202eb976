"""The operations that the explorer merges: each calls the product's own functions.

An event's delta is a power of two of its own, so a count says which events it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import TypeVar
from unittest.mock import patch
from uuid import uuid4

from django.db import IntegrityError, OperationalError, connection, transaction
from django.test import override_settings
from psycopg.errors import SerializationFailure

from counters import events as record
from counters.errors import CounterNotFound
from counters.events import NewEvent
from counters.models import LastWrite
from counters.namespaces import deletion
from counters.partitions import create
from counters.partitions import reindex as reindexing
from counters.recording import tokens
from counters.recording.duplicates import Recorded
from rollups import counts as reading
from rollups.folding import audit, cluster_identity, retention
from rollups.folding import sweep as sweeping
from rollups.folding.fold import fold as fold_counters
from rollups.reading import clear as clearing
from tests.interleavings.explorer import Operation

T = TypeVar("T")

TODAY = datetime.combine(datetime.now(UTC), time(), UTC)
DAY = timedelta(days=1)
YESTERDAY = TODAY - DAY
# Within the accept window, and the tests' database has no partition for it.
NEW_DAY = TODAY - 5 * DAY
# Beyond retention.
OLD_DAY = TODAY - 40 * DAY
NOON = timedelta(hours=12)
ACCEPT_PAST, RETENTION = 10 * DAY, 30 * DAY
BASE, STRAY_FOLDED, STRAY_PENDING, OLD, PENDING = 1, 2, 4, 8, 16
SHARED = 32
PENDING_TOO = (64, 128)
_FIRST_BIT = 8
_BITS_EACH = 4


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An event that was acknowledged."""

    # None: it existed before.
    by: Operation | None
    name: str
    delta: int
    # What a duplicate answers; without a token none is tried.
    token: str | None = None
    generation_time: datetime | None = None


@dataclass(slots=True)
class World:
    """The answers that the operations of one order got."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    # Which operation read which counter, and its count.
    reads: list[tuple[Operation, str, int]] = field(default_factory=list)
    deletions: list[Operation] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    # Of a past day, whose indexes may be rebuilt.
    shared_v7: str = field(default_factory=lambda: tokens.new(YESTERDAY + NOON).text)
    shared_text: str = field(default_factory=lambda: f"order {uuid4()}")

    def acknowledge(
        self,
        operation: Operation | None,
        name: str,
        delta: int,
        recorded: Recorded,
        *,
        timed: bool = True,
    ) -> None:
        if recorded.duplicate:
            return
        # An older one is refused.
        is_accepted = recorded.event_time > TODAY - ACCEPT_PAST
        self.acknowledged.append(
            Acknowledged(
                operation,
                name,
                delta,
                recorded.token if is_accepted else None,
                recorded.event_time if timed else None,
            )
        )


Work = Callable[[World, Operation], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """An operation by name, and the state that it needs: strays, old."""

    work: Work
    needs: frozenset[str]
    # Whether it waits for a lock for as long as it takes.
    is_patient: bool


KINDS: dict[str, Kind] = {}


def operation(*needs: str, is_patient: bool = True) -> Callable[[Work], Work]:
    def register(work: Work) -> Work:
        KINDS[work.__name__] = Kind(work, frozenset(needs), is_patient)
        return work

    return register


def delta_of(operation: Operation, number: int = 0) -> int:
    return int(1 << (_FIRST_BIT + operation.index * _BITS_EACH + number))


# --- Writing ---------------------------------------------------------------------------------


@operation()
def add(world: World, me: Operation) -> None:
    recorded = record.add(namespace="test", name="hits", delta=delta_of(me))
    world.acknowledge(me, "hits", delta_of(me), recorded)


@operation()
def add_text(world: World, me: Operation) -> None:
    """Add with a token that carries no time, so with a claim."""
    token = f"mine {me.index} {uuid4()}"
    recorded = record.add(
        namespace="test", name="hits", delta=delta_of(me), token=token
    )
    world.acknowledge(me, "hits", delta_of(me), recorded, timed=False)


@operation()
def add_new_day(world: World, me: Operation) -> None:
    """Add an event of a day that has no partition yet."""
    recorded = record.add(
        namespace="test",
        name="hits",
        delta=delta_of(me),
        token=str(uuid4()),
        generation_time=NEW_DAY + NOON,
    )
    world.acknowledge(me, "hits", delta_of(me), recorded)


@operation()
def add_shared(world: World, me: Operation) -> None:
    """Add with a token that other operations use too: a UUIDv7."""
    recorded = record.add(
        namespace="test", name="hits", delta=SHARED, token=world.shared_v7
    )
    world.acknowledge(me, "hits", SHARED, recorded)


@operation()
def add_shared_text(world: World, me: Operation) -> None:
    recorded = record.add(
        namespace="test", name="hits", delta=SHARED, token=world.shared_text
    )
    world.acknowledge(me, "hits", SHARED, recorded, timed=False)


def in_block(block: Callable[[], T]) -> T:
    """Run a block as callers must: again if it ends in one of these errors."""
    while True:
        try:
            with transaction.atomic():
                return block()
        except IntegrityError:
            pass
        except OperationalError as error:
            if not isinstance(error.__cause__, SerializationFailure):
                raise


@operation()
def add_in_block(world: World, me: Operation) -> None:
    """Add to two counters in one transaction, with a savepoint that rolls back."""

    def block() -> tuple[Recorded, Recorded]:
        hits = record.add(namespace="test", name="hits", delta=delta_of(me))
        with transaction.atomic():
            record.add(namespace="test", name="hits", delta=delta_of(me, 1))
            transaction.set_rollback(True)
        return hits, record.add(namespace="test", name="fresh", delta=delta_of(me, 2))

    hits, fresh = in_block(block)
    world.acknowledge(me, "hits", delta_of(me), hits)
    world.acknowledge(me, "fresh", delta_of(me, 2), fresh)


@operation()
def add_and_roll_back(world: World, me: Operation) -> None:
    with transaction.atomic():
        record.add(namespace="test", name="hits", delta=delta_of(me))
        transaction.set_rollback(True)


@operation()
def add_new_day_in_block(world: World, me: Operation) -> None:
    token = str(uuid4())
    recorded = in_block(
        lambda: record.add(
            namespace="test",
            name="hits",
            delta=delta_of(me),
            token=token,
            generation_time=NEW_DAY + NOON,
        )
    )
    world.acknowledge(me, "hits", delta_of(me), recorded)


@operation()
def add_first(world: World, me: Operation) -> None:
    """Add to a counter that nobody has added to."""
    recorded = record.add(namespace="test", name="first", delta=delta_of(me))
    world.acknowledge(me, "first", delta_of(me), recorded)


@operation()
def add_first_in_block(world: World, me: Operation) -> None:
    recorded = in_block(
        lambda: record.add(namespace="test", name="first", delta=delta_of(me))
    )
    world.acknowledge(me, "first", delta_of(me), recorded)


@operation()
def batch(world: World, me: Operation) -> None:
    """Add a batch to two counters and days, with tokens that other operations use too."""
    events = [
        NewEvent("test", "fresh", delta_of(me)),
        NewEvent("test", "hits", delta_of(me, 1), str(uuid4()), NEW_DAY + NOON),
        NewEvent("test", "hits", SHARED, world.shared_v7),
    ]
    for event, recorded in zip(events, record.add_many(events), strict=True):
        world.acknowledge(me, event.name, event.delta, recorded)


@operation()
def batch_text(world: World, me: Operation) -> None:
    events = [
        NewEvent("test", "hits", delta_of(me), f"mine {me.index} {uuid4()}"),
        NewEvent("test", "hits", SHARED, world.shared_text),
    ]
    for event, recorded in zip(events, record.add_many(events), strict=True):
        world.acknowledge(me, event.name, event.delta, recorded, timed=False)


@operation("old")
def import_old(world: World, me: Operation) -> None:
    """Add a batch to a day whose partition may be closed meanwhile."""
    event = NewEvent("test", "hits", delta_of(me), str(uuid4()), OLD_DAY + NOON)
    [recorded] = record.add_many([event], any_age=True)
    world.acknowledge(me, "hits", delta_of(me), recorded)


# --- Folding and reading -----------------------------------------------------------------------


_base_ids: list[int] = []


@operation()
def fold(world: World, me: Operation) -> None:
    fold_counters(_base_ids)


@operation("parts")
def fold_part(world: World, me: Operation) -> None:
    """Fold the oldest events only; see `parts` below."""
    fold_counters(_base_ids)


@operation()
def sweep(world: World, me: Operation) -> None:
    """Sweep, and run the fold of its message."""
    swept = sweeping.sweep()
    if swept is not None and swept.overdue:
        fold_counters(swept.overdue)


@operation()
def read(world: World, me: Operation) -> None:
    with suppress(CounterNotFound):
        count = reading.get(namespace="test", name="hits", accuracy="accurate").count
        world.reads.append((me, "hits", count))


@operation()
def verify(world: World, me: Operation) -> None:
    """Audit; it must find nothing at any moment."""
    for found in audit.audit():
        world.problems += [f"verify found {one}" for one in found if not one.is_right]


@operation()
def repair(world: World, me: Operation) -> None:
    audit.repair(_base_ids)


@operation()
def reanchor(world: World, me: Operation) -> None:
    cluster_identity.reanchor()


# --- Clearing and deleting ---------------------------------------------------------------------


def _clear(world: World, me: Operation, name: str, token: str | None) -> None:
    with suppress(CounterNotFound):
        cleared = clearing.clear(namespace="test", name=name, token=token)
        if not cleared.duplicate:
            world.acknowledged.append(
                Acknowledged(me, name, -(cleared.count_before or 0))
            )


@operation()
def clear(world: World, me: Operation) -> None:
    _clear(world, me, "hits", None)


@operation()
def clear_fresh(world: World, me: Operation) -> None:
    """Clear a counter that was never folded."""
    _clear(world, me, "fresh", None)


@operation()
def clear_shared(world: World, me: Operation) -> None:
    """Clear with a token that other operations use too."""
    _clear(world, me, "hits", world.shared_text)


@operation()
def delete(world: World, me: Operation) -> None:
    world.deletions.append(me)
    with suppress(CounterNotFound):
        deletion.delete_counter(namespace="test", name="hits", confirm="hits")


# --- Partitions --------------------------------------------------------------------------------


@operation(is_patient=False)
def make(world: World, me: Operation) -> None:
    """Make the partition of the new day; attach it at once, for nothing waits for it."""
    _make()


@operation("strays", is_patient=False)
def move(world: World, me: Operation) -> None:
    """Make the partition, and move rows into it from the default partition."""
    _make()


def _make() -> None:
    create.make(NEW_DAY, NEW_DAY)


@operation("old", is_patient=False)
def close(world: World, me: Operation) -> None:
    _close()


@operation("old", is_patient=False)
def close_and_drop(world: World, me: Operation) -> None:
    _close()
    retention.drop_closed(now=datetime.now(UTC) + 2 * retention.DROPPED_AFTER)


def _close() -> None:
    # The wait is for settings that other processes remember; here none changes.
    list(retention.close_due(wait=lambda _: None))


@operation("settled", is_patient=False)
def reindex(world: World, me: Operation) -> None:
    list(reindexing.rebuild_due())


@operation()
def hold(world: World, me: Operation) -> None:
    """Make others stall within a statement: between its planning and its snapshot.

    For a statement on events the planner lists the partitions, and then locks each of them with
    its indexes. This operation holds an index of the first one.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"REINDEX INDEX {_first_partition()}_token_counter_id_event_time_idx"
        )
        transaction.set_rollback(True)


def _first_partition() -> str:
    return f"counters_event_{YESTERDAY:%Y%m%d}"


# --- The state from which each order starts ------------------------------------------------------

_DAYS = [f"counters_event_{TODAY + n * DAY:%Y%m%d}" for n in (-1, 0, 1)]
_RESET = """
DELETE FROM counters_event;
DELETE FROM counters_lastwrite;
DELETE FROM counters_claim;
DELETE FROM rollups_bucket;
DELETE FROM rollups_rollup;
DELETE FROM rollups_failure;
DELETE FROM rollups_closing;
DELETE FROM rollups_sweep;
DELETE FROM counters_counter WHERE name = 'first'
"""
_MADE = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relname ~ '^counters_event_(closed_)?[0-9]' AND relname <> ALL (%s)
"""


@contextmanager
def few_partitions() -> Iterator[None]:
    """Keep the partitions of three days only, because each makes every plan slower."""
    _drop_other_partitions()
    try:
        yield
    finally:
        reset()
        create.make_ahead()


@contextmanager
def suited_settings(needs: frozenset[str]) -> Iterator[None]:
    """Remove every dependence on time, and make small amounts count as large."""
    with (
        override_settings(
            ROLLUPS_TRIGGER="off",
            ROLLUPS_SWEEP_PERIOD_SECONDS=0,
            ROLLUPS_SWEEP_GRACE_SECONDS=0,
        ),
        patch("rollups.folding.fold.MOST_EVENTS", 1),
        patch(
            "rollups.folding.fold.FAR_BEHIND",
            timedelta(seconds=-1 if "parts" in needs else 3600),
        ),
        patch("rollups.folding.fold._LEAST_EVENTS", 1),
        # No clock: the explorer makes them give up where no operation could continue.
        patch("counters.db.locks.PATIENCE", "0"),
        patch("counters.db.locks.ATTEMPTS", 1),
        patch("counters.partitions.reindex.SETTLED_AFTER", timedelta(0)),
        patch("counters.partitions.reindex.LEAST_BYTES", 0),
        patch("counters.partitions.reindex.BLOATED", 0.0),
    ):
        yield


def reset() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_RESET)
    _drop_other_partitions()


def _drop_other_partitions() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_MADE, [_DAYS])
        if tables := [name for (name,) in cursor.fetchall()]:
            cursor.execute(f"DROP TABLE {', '.join(tables)}")


def set_up(needs: frozenset[str]) -> World:
    """Make the counters `hits`, folded once and pending, and `fresh`, never folded."""
    world = World()
    reset()
    if "old" in needs:
        create.make(OLD_DAY, OLD_DAY, now=OLD_DAY)
    base = [NewEvent("test", "hits", BASE)]
    pending = [NewEvent("test", "hits", PENDING), NewEvent("test", "fresh", PENDING)]
    if "old" in needs:
        base.append(_of_day(OLD, OLD_DAY))
    if "settled" in needs:
        base.append(_of_day(OLD, YESTERDAY))
    if "strays" in needs:
        base.append(_of_day(STRAY_FOLDED, NEW_DAY))
        pending.append(_of_day(STRAY_PENDING, NEW_DAY))
    _record(world, base)
    fold_counters([one.counter_id for one in LastWrite.objects.all()])
    _record(world, pending)
    if "parts" in needs:
        # In transactions of their own: a part ends behind the second one here.
        for delta in PENDING_TOO:
            _record(world, [NewEvent("test", "hits", delta)])
    _base_ids[:] = [one.counter_id for one in LastWrite.objects.all()]
    if "settled" in needs:
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {_first_partition()}")
    return world


def _of_day(delta: int, day: datetime) -> NewEvent:
    # Every other one without a token.
    token = str(uuid4()) if delta.bit_length() % 2 else None
    return NewEvent("test", "hits", delta, token, day + NOON)


def _record(world: World, events: list[NewEvent]) -> None:
    answers = record.add_many(events, any_age=True)
    for event, recorded in zip(events, answers, strict=True):
        world.acknowledge(None, event.name, event.delta, recorded)
