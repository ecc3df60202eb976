"""What a worker does with one message: fold its counters and say which to re-enqueue."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F

from rollups import conf
from rollups.folding.bisect import fold_each
from rollups.folding.fold import Folded
from rollups.models import Sweep
from rollups.monitor import metrics
from rollups.worker import debounce

# Before another attempt at a counter that was held twice: by a fold that takes long, or by a
# process that was stopped.
_HELD_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Again:
    """Counters to re-enqueue, to be folded after a pause."""

    counter_ids: list[int]
    pause_seconds: float
    # For rollups.worker.debounce.
    claim: int
    # Kept for what a sweep found and one task could not finish.
    sweep_id: int | None = None


def work(
    counter_ids: Collection[int],
    *,
    claim: int = 0,
    sweep_id: int | None = None,
) -> list[Again]:
    """Fold the counters, those that are far behind in parts, for ROLLUPS_TASK_SECONDS.

    Returns the counters that this could not fold, unless their re-enqueued message is already on
    its way: those folded a moment ago (they rest), those that another fold holds, and those
    folded in parts. A counter that was written to meanwhile has a trigger of its own. `claim`
    is that of a message that was re-enqueued.
    """
    metrics.count_message(_source(claim, sweep_id))
    claimed_by_others = debounce.release(counter_ids, claim) if claim else set()
    until = time.monotonic() + conf.task_seconds()
    rest = conf.fold_rest_seconds()
    resting: set[int] = set()
    held: set[int] = set()
    left = set(counter_ids)
    while left:
        batch, left = left, set()
        for folded in fold_each(batch, until=until, rest=timedelta(seconds=rest)):
            resting |= folded.resting
            held |= folded.held
            left |= folded.partly
            if sweep_id is not None:
                _count_healed(folded, sweep_id)
        if time.monotonic() >= until:
            break
    again = []
    for pending, pause, found_by in (
        (resting, rest, None),
        (held, max(rest, _HELD_PAUSE_SECONDS) if claim else rest, None),
        # Behind the messages that wait now.
        (left, 0.0, sweep_id),
    ):
        number = debounce.new_claim()
        free = debounce.claim(
            pending - claimed_by_others,
            number,
            pause_seconds=pause,
            # A message is re-enqueued once then, so that messages at most double.
            without_cache=not claim,
        )
        if free:
            again.append(Again(free, pause, number, found_by))
    return again


def _source(claim: int, sweep_id: int | None) -> str:
    if claim:
        return "re-enqueue"
    return "trigger" if sweep_id is None else "sweep"


def _count_healed(folded: Folded, sweep_id: int) -> None:
    """Count the counters that no trigger got folded in time: the sweep had to.

    Not one whose trigger's message came first, however late: then there was nothing left
    to fold, or only what was written within the grace. Not one whose fold failed: its
    trigger had come. One that is folded in parts counts once, with the last part.
    """
    grace = timedelta(seconds=conf.sweep_grace_seconds())
    healed = sum(
        1
        for counter_id, events in folded.events_of.items()
        if events
        and folded.lag_of[counter_id] >= grace
        and counter_id not in folded.failed_before
        and counter_id not in folded.partly
    )
    if healed:
        Sweep.objects.filter(pk=sweep_id).update(healed=F("healed") + healed)
        metrics.count_healed(healed)
