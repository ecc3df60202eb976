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

    A counter that is pending again waits for the next call. Otherwise a busy counter, or a
    writer in a long transaction, would keep this function running without end. It also stops
    when other folds hold a whole batch, because they fold these counters. It removes the last
    writes of deleted counters, which would block all others forever.
    """
    done: set[int] = set()
    while waiting := select_pending(grace=timedelta(0), most=BATCH_COUNTERS):
        # A fold shortens the lag. So if all counters of a batch are done, no older one waits
        # behind them.
        batch = [one.counter_id for one in waiting if one.counter_id not in done]
        folds = fold_each(batch, until=math.inf) if batch else []
        folded = {one for fold in folds for one in fold.events_of}
        gone = deletion.remove_orphans_among(
            [one for one in batch if one not in folded]
        )
        if not folded and not gone:
            return
        # A counter that is folded in parts is done after its last part.
        whole = [fold.events_of.keys() - fold.partly for fold in folds]
        done.update(*whole)
        yield Drained(sum(map(len, whole)), sum(fold.events for fold in folds))
