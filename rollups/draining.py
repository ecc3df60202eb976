"""Folding everything that is pending, straight from PostgreSQL, without a broker."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from rollups.isolating import fold_each
from rollups.sweeping import select_pending

BATCH_COUNTERS = 500


@dataclass(frozen=True, slots=True)
class Drained:
    """One step: what was folded, and what is left for the next."""

    counters: int
    events: int


def drain() -> Iterator[Drained]:
    """Fold batches of pending counters, longest lag first, until none is left.

    Stops as well where a whole batch is held by other folds: those will see to it.
    """
    while waiting := select_pending(grace=timedelta(0), most=BATCH_COUNTERS):
        batch = [one.counter_id for one in waiting]
        folds = fold_each(batch, until=math.inf)
        if not any(folded.events_of for folded in folds):
            return
        yield Drained(
            # Of a counter that is folded in parts only the last part counts.
            sum(len(folded.events_of.keys() - folded.partly) for folded in folds),
            sum(folded.events for folded in folds),
        )
