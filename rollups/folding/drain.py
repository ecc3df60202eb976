"""Fold everything that is pending, without a broker."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from counters.namespaces import deletion
from rollups.folding.bisect import fold_each
from rollups.folding.sweep import select_pending

BATCH_COUNTERS = 500


@dataclass(frozen=True, slots=True)
class Drained:
    """One step: what was folded, and what is left."""

    counters: int
    events: int


def drain() -> Iterator[Drained]:
    """Fold batches of pending counters, longest lag first, until each was folded once.

    One that is pending again by then waits for the next look: else a busy counter, or a
    writer who sleeps in an open transaction, would keep this at it without end. Stops as
    well where a whole batch is held by other folds: those will see to it. What is left of
    deleted counters is removed: it would block all others forever.
    """
    done: set[int] = set()
    while waiting := select_pending(grace=timedelta(0), most=BATCH_COUNTERS):
        # A fold makes the lag short, so behind nothing but done ones nothing older waits.
        batch = [one.counter_id for one in waiting if one.counter_id not in done]
        folds = fold_each(batch, until=math.inf) if batch else []
        folded = {one for fold in folds for one in fold.events_of}
        gone = deletion.remove_orphans_among(
            [one for one in batch if one not in folded]
        )
        if not folded and not gone:
            return
        # Of a counter that is folded in parts only the last part counts.
        whole = [fold.events_of.keys() - fold.partly for fold in folds]
        done.update(*whole)
        yield Drained(sum(map(len, whole)), sum(fold.events for fold in folds))
