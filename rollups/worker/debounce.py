"""Debounce re-enqueued counters: one re-enqueued message of a counter at a time.

Every message of a hot counter finds it resting. If each re-enqueued it, the queue would grow
without end. A key in the cache says that a counter's re-enqueued message is on its way, and
holds the number of its claim: a message with another claim is not re-enqueued again.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection
from random import getrandbits

from django.core.cache import cache

logger = logging.getLogger(__name__)

# How long a key outlives its message's pause, in case the message is lost. Whole seconds:
# Django's Redis cache keeps no key for less.
_LATE_SECONDS = 2


def new_claim() -> int:
    """Return a number for `claim`; 0 stands for none."""
    return getrandbits(62) | 1


def claim(
    counter_ids: Collection[int],
    number: int,
    *,
    pause_seconds: float,
    without_cache: bool,
) -> list[int]:
    """Claim counters of which no re-enqueued message is on its way; return them.

    The caller is to enqueue them, to run after the pause. If two workers claim a counter at
    the same instant, both enqueue it, and only one of the messages may be re-enqueued later.
    `without_cache` says whether to return all or none while the cache fails.
    """
    if not counter_ids:
        return []
    keys = {_key(counter_id): counter_id for counter_id in counter_ids}
    try:
        taken = cache.get_many(keys)
        free = {key: each for key, each in keys.items() if key not in taken}
        if free:
            lasting = math.ceil(pause_seconds) + _LATE_SECONDS
            cache.set_many(dict.fromkeys(free, number), timeout=lasting)
    # Whatever the cache's client raises: folding does not depend on it.
    except Exception as error:
        logger.warning("The cache fails, so nothing is debounced: %s", error)
        return sorted(counter_ids) if without_cache else []
    return sorted(free.values())


def release(counter_ids: Collection[int], number: int) -> set[int]:
    """End a claim: its message is here, or could not be sent.

    Returns the counters that have another claim. To be called before the fold's snapshot: a
    worker that finds a claim relies on a fold that has not begun.
    """
    if not counter_ids:
        return set()
    keys = {_key(counter_id): counter_id for counter_id in counter_ids}
    try:
        claims = cache.get_many(keys)
        cache.delete_many([key for key, found in claims.items() if found == number])
    except Exception as error:
        logger.warning("The cache fails, so claims end by time: %s", error)
        return set()
    return {keys[key] for key, found in claims.items() if found != number}


def _key(counter_id: int) -> str:
    return f"rollups.reenqueued.{counter_id}"
