"""What a worker does with one message: fold its counters and say which to fold again."""

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

_LONGEST_PAUSE_SECONDS = 2.0
# Where a fold takes long, because counters and processes crowd the cores, what it folded
# comes back later, so that folds of one counter take a fifth of a worker's time at most.
_PAUSE_TIMES_FOLDING = 5
_LONGEST_CROWDED_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Again:
    """Counters that are to be folded again after a pause."""

    counter_ids: list[int]
    pause_seconds: float
    turn: int
    # Goes with what a sweep found and one task could not finish.
    sweep_id: int | None = None


def work(
    counter_ids: Collection[int], *, turn: int = 0, sweep_id: int | None = None
) -> list[Again]:
    """Fold the counters, those that are far behind in parts, for ROLLUPS_TASK_SECONDS.

    Returns those that are pending still. What was written since, or rests, comes back
    after the rest, which is longer where this took long. What another fold holds comes
    back after a pause that doubles with each turn. What is folded in parts comes back
    behind the messages that wait now.
    """
    metrics.count_message(_source(turn, sweep_id))
    if turn:
        debounce.come_back(counter_ids)
    began = time.monotonic()
    until = began + conf.task_seconds()
    rest = conf.fold_rest_seconds()
    soon: set[int] = set()
    held: set[int] = set()
    left = set(counter_ids)
    while left:
        batch, left = left, set()
        for folded in fold_each(batch, until=until, rest=timedelta(seconds=rest)):
            soon |= folded.still_pending - folded.held - folded.partly
            held |= folded.held
            left |= folded.partly
            if sweep_id is not None:
                _count_healed(folded, sweep_id)
        if time.monotonic() >= until:
            break
    took = time.monotonic() - began
    pause = max(rest, min(_PAUSE_TIMES_FOLDING * took, _LONGEST_CROWDED_PAUSE_SECONDS))
    # A fold that is held for half an hour gets beyond what a float can hold.
    longer = min(rest * 2 ** min(turn, 20), _LONGEST_PAUSE_SECONDS)
    if turn:
        debounce.leave(set(counter_ids) - soon - held - left)
    again = [
        Again(debounce.take_turn(soon, pause), pause, 1),
        Again(debounce.take_turn(held, longer), longer, turn + 1),
        Again(debounce.take_turn(left, pause), 0.0, 1, sweep_id),
    ]
    return [one for one in again if one.counter_ids]


def _source(turn: int, sweep_id: int | None) -> str:
    if turn:
        return "circulation"
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
