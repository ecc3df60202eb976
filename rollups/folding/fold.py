"""Fold events into rollups."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import connection

from counters.db.statements import fetch
from counters.db.transactions import alone, own_transaction
from rollups.folding import bisect
from rollups.folding.cluster_identity import anchored_only
from rollups.monitor import metrics

# The lag from which a counter is far behind.
FAR_BEHIND = timedelta(seconds=10)
# The most events that one fold takes of counters that are far behind: half a second's work.
MOST_EVENTS = 500_000
# Each counter may take this many events in a fold by parts, however many counters share the
# fold.
_LEAST_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class Folded:
    """The result of one fold."""

    # Counter id -> number of events folded now (0 where the last fold crashed half-way).
    events_of: dict[int, int] = field(default_factory=dict)
    # Counters that should be folded again: the two below, and those written meanwhile.
    still_pending: frozenset[int] = frozenset()
    # Another fold held them; it folds them, unless it dies.
    held: frozenset[int] = frozenset()
    # They had more events than one fold takes: the oldest part is folded.
    partly: frozenset[int] = frozenset()
    # How long each counter had been waiting when the fold began.
    lag_of: dict[int, timedelta] = field(default_factory=dict)
    # Their last fold failed.
    failed_before: frozenset[int] = frozenset()

    @property
    def events(self) -> int:
        return sum(self.events_of.values())


@dataclass(frozen=True, slots=True)
class _Prepared:
    counter_id: int
    lag: timedelta
    failed_before: bool


def fold(counter_ids: Collection[int]) -> Folded:
    """Fold the pending events of the given counters, each exactly once.

    One transaction for all of them; it never waits for another fold, and no writer ever
    waits for it. Safe to run at any time, any number of times, in several processes at
    once. A quarantined counter is left out. If folding lags behind, a fold takes the oldest
    events, at most MOST_EVENTS, so time and memory are bounded. Must not be called inside a
    transaction block (raises RuntimeError). Raises NotAnchored after a restore into another
    cluster.
    """
    started = time.monotonic()
    rows = alone(
        lambda: fetch(
            connection, "rollups", "prepare_fold", counter_ids=list(counter_ids)
        )
    )
    prepared = [_Prepared(*row) for row in rows]
    pending = {one.counter_id for one in prepared}
    if not pending:
        return Folded()
    behind = {one.counter_id for one in prepared if one.lag > FAR_BEHIND} & pending
    events_of: dict[int, int] = {}
    partly: set[int] = set()
    with anchored_only(), own_transaction(durable=True, limits_idle_itself=True):
        locked = _ids("lock_rollups", pending)
        if behind & locked:
            part_of, partly = _fold_in_parts(behind & locked)
            events_of |= part_of
        if locked - partly:
            events_of |= _fold_locked(locked - partly)
    # After a crash here last writes remain; the sweep finds them, and its fold changes
    # nothing.
    written_since = alone(lambda: _ids("remove_settled", locked)) if locked else set()
    failed_before = frozenset(one.counter_id for one in prepared if one.failed_before)
    if failed_before & events_of.keys():
        bisect.forget(failed_before & events_of.keys())
    if events_of:
        metrics.count_fold(
            events=sum(events_of.values()), seconds=time.monotonic() - started
        )
    return Folded(
        events_of,
        still_pending=frozenset((pending - locked) | written_since),
        held=frozenset(pending - locked),
        # If the part ended with the last event, nothing is left.
        partly=frozenset(partly & written_since),
        lag_of={one.counter_id: one.lag for one in prepared},
        failed_before=failed_before,
    )


def _fold_locked(locked: Collection[int]) -> dict[int, int]:
    rows = fetch(connection, "rollups", "fold_events", counter_ids=list(locked))
    return {counter_id: int(events) for counter_id, events in rows}


def _fold_in_parts(behind: Collection[int]) -> tuple[dict[int, int], set[int]]:
    """Fold the oldest part of counters that have more events than a fold may take."""
    most = max(_LEAST_EVENTS, MOST_EVENTS // len(behind))
    bounds = dict(
        fetch(connection, "rollups", "bound_fold", counter_ids=list(behind), most=most)
    )
    if not bounds:
        return {}, set()
    rows = fetch(
        connection,
        "rollups",
        "fold_events_up_to",
        counter_ids=list(bounds),
        bounds=list(bounds.values()),
    )
    return {counter_id: int(events) for counter_id, events in rows}, set(bounds)


def _ids(statement: str, counter_ids: Collection[int]) -> set[int]:
    """Run a statement that takes counter ids and returns some of them."""
    rows = fetch(connection, "rollups", statement, counter_ids=list(counter_ids))
    return {counter_id for (counter_id,) in rows}
