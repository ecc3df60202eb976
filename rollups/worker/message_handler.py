"""What a worker does with one message: fold its counters, re-enqueue what it could not fold.

Re-enqueued messages are debounced: while a fold takes long, every message of its counter finds
it held, and if each re-enqueued it, the queue would grow without end. A key in the cache says
that a counter's re-enqueued message is on its way.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from datetime import timedelta

from django.core.cache import cache
from django.db.models import F

from rollups import conf
from rollups.folding.bisect import fold_each
from rollups.folding.fold import Folded
from rollups.models import Sweep
from rollups.monitor import metrics
from rollups.trigger import request

logger = logging.getLogger(__name__)

# Then a task starts nothing new, and returns the rest to the queue.
TASK_SECONDS = 2.0
# Before another attempt at a counter that another fold held. That fold takes milliseconds,
# or, if it holds the counter still at the second attempt, long.
_PAUSE_SECONDS = 0.025
_LONGER_PAUSE_SECONDS = 0.2
# How long a key lasts, in case its message is lost.
_CLAIM_SECONDS = 3


def work(
    counter_ids: Collection[int],
    *,
    reenqueued: bool = False,
    sweep_id: int | None = None,
) -> list[int]:
    """Fold the counters, those that are far behind in parts, for TASK_SECONDS.

    Re-enqueues those that could not be folded, and returns them: those that another fold holds,
    and those folded in parts. Leaves out counters whose re-enqueued message is on its way. A
    counter that was written to meanwhile has a trigger of its own.
    """
    metrics.count_message(_source(reenqueued, sweep_id))
    if reenqueued:
        # Before the fold's snapshot: who finds a claim relies on a fold that has not begun.
        _release(counter_ids)
    until = time.monotonic() + TASK_SECONDS
    held: set[int] = set()
    left = set(counter_ids)
    while left:
        batch, left = left, set()
        for folded in fold_each(batch, until=until):
            held |= folded.held
            left |= folded.partly
            if sweep_id is not None:
                _count_healed(folded, sweep_id)
        if time.monotonic() >= until:
            break
    free = _claim(held | left)
    sent = request.send(
        free,
        countdown_seconds=(
            _LONGER_PAUSE_SECONDS if reenqueued and held else _PAUSE_SECONDS
        ),
        reenqueued=True,
        sweep_id=sweep_id,
    )
    # So that the next trigger may re-enqueue them.
    _release(free[sent:])
    return free[:sent]


def _source(reenqueued: bool, sweep_id: int | None) -> str:
    if reenqueued:
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


def _claim(counter_ids: Collection[int]) -> list[int]:
    """Claim the counters of which no re-enqueued message is on its way; return them.

    If two workers claim a counter at the same instant, both enqueue it: one fold too many.
    """
    keys = {_key(counter_id): counter_id for counter_id in counter_ids}
    try:
        free = keys.keys() - (cache.get_many(keys) if keys else ())
        if free:
            cache.set_many(dict.fromkeys(free, 1), timeout=_CLAIM_SECONDS)
    # Whatever the cache's client raises: folding does not depend on it.
    except Exception as error:
        logger.warning("The cache fails, so the sweep must find counters: %s", error)
        return []
    return sorted(keys[key] for key in free)


def _release(counter_ids: Collection[int]) -> None:
    """End the claims: their message is here, or could not be sent."""
    if counter_ids:
        try:
            cache.delete_many([_key(counter_id) for counter_id in counter_ids])
        except Exception as error:
            logger.warning("The cache fails, so claims end by time: %s", error)


def _key(counter_id: int) -> str:
    return f"rollups.reenqueued.{counter_id}"
