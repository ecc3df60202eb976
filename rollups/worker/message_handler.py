"""Handle one message: fold its counters, and re-enqueue those that could not be folded.

Re-enqueued messages are debounced. During a long fold, every message of its counter finds the
counter held. If each of them re-enqueued it, the queue would grow without end. So a key in the
cache marks a counter that has a re-enqueued message on its way.
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

# After this time a task folds no further batch, and re-enqueues the rest.
TASK_SECONDS = 2.0
# The pause before the next attempt at a counter that another fold held. Most folds take
# milliseconds. If the counter is still held at the second attempt, the fold is a long one.
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

    Re-enqueues and returns the counters that another fold holds, and those folded in parts, but
    not those with a re-enqueued message on its way. A counter that was written during the fold
    has its own trigger.
    """
    metrics.count_message(_source(reenqueued, sweep_id))
    if reenqueued:
        # Before the fold's snapshot: another worker that finds a claim relies on a later fold.
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
    # These were not sent. The next trigger may re-enqueue them.
    _release(free[sent:])
    return free[:sent]


def _source(reenqueued: bool, sweep_id: int | None) -> str:
    if reenqueued:
        return "re-enqueue"
    return "trigger" if sweep_id is None else "sweep"


def _count_healed(folded: Folded, sweep_id: int) -> None:
    """Count the counters that were folded only because of the sweep.

    Three kinds do not count. If the trigger's message came first, however late, nothing was left
    to fold, or only events within the grace. If the last fold failed, the trigger had come. A
    counter folded in parts counts only with its last part.
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
    """Claim the counters without a re-enqueued message on its way; return them.

    If two workers claim a counter at the same instant, both enqueue it: one fold too many.
    """
    keys = {_key(counter_id): counter_id for counter_id in counter_ids}
    try:
        free = keys.keys() - (cache.get_many(keys) if keys else ())
        if free:
            cache.set_many(dict.fromkeys(free, 1), timeout=_CLAIM_SECONDS)
    # Any error of the cache's client: folding does not depend on the cache.
    except Exception as error:
        logger.warning("The cache fails, so the sweep must find counters: %s", error)
        return []
    return sorted(keys[key] for key in free)


def _release(counter_ids: Collection[int]) -> None:
    """End the claims when their message has arrived, or could not be sent."""
    if counter_ids:
        try:
            cache.delete_many([_key(counter_id) for counter_id in counter_ids])
        except Exception as error:
            logger.warning("The cache fails, so claims end by time: %s", error)


def _key(counter_id: int) -> str:
    return f"rollups.reenqueued.{counter_id}"
