"""Circulation: a counter that is still pending after its fold is folded again soon."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection

from django.core.cache import cache, caches

logger = logging.getLogger(__name__)

# How long a key outlives its message's pause: a message that is lost, or waits in a long
# queue, holds a counter's next turn up for no longer. Whole seconds, because Django's
# Redis cache keeps a key for such only; for less than one it keeps none at all.
_LATE_SECONDS = 2
# Longer pauses are for what another fold holds: that may be free much earlier. What the
# cache keeps is a whole number, of milliseconds: Django pickles any other value for Redis,
# which is a fifth of the time that asking for many counters takes.
_SOON_MILLISECONDS = 200
# This process's own turns, for when the cache fails: counter id -> until when.
_own_turns: dict[int, float] = {}
_OWN_TURNS = 100_000


def take_turn(counter_ids: Collection[int], pause_seconds: float) -> list[int]:
    """Return those counters of which no message is on its way back.

    The caller is to enqueue them once, to run after the pause. Every message for a hot
    counter finds it pending; were each to enqueue it, the queue would grow without end.
    Two workers that ask at the same instant may both take the turn: one message more.
    """
    if not counter_ids:
        return []
    keys = {_key(counter_id): counter_id for counter_id in counter_ids}
    try:
        taken = cache.get_many(keys)
        free = {key: each for key, each in keys.items() if key not in taken}
        if free:
            lasting = math.ceil(pause_seconds) + _LATE_SECONDS
            pause = math.ceil(pause_seconds * 1000)
            cache.set_many(dict.fromkeys(free, pause), timeout=lasting)
    # Whatever the cache's client raises: folding does not depend on it.
    except Exception as error:
        logger.warning("The cache fails, so turns are each worker's own: %s", error)
        return _take_own_turn(counter_ids, pause_seconds)
    return sorted(free.values())


def come_back(counter_ids: Collection[int]) -> None:
    """Take the turns' keys away: their message is here, and its fold is about to begin.

    Before the fold's snapshot, never after: whoever saw the key relies on that fold.
    """
    try:
        cache.delete_many([_key(counter_id) for counter_id in counter_ids])
    except Exception as error:
        logger.warning("The cache fails, so turns end by themselves: %s", error)


def coming_soon(counter_ids: Collection[int]) -> set[int]:
    """Return those of which a message is on its way back, without a long pause.

    What is committed before this is called is in the snapshot of the fold to come, so a
    message of its own would tell the workers nothing. None where the cache fails.
    """
    keys = {_key(counter_id): counter_id for counter_id in counter_ids}
    try:
        pauses = cache.get_many(keys)
    except Exception as error:
        logger.debug("Nobody knows what circulates: %s", error)
        return set()
    return {keys[key] for key, pause in pauses.items() if pause <= _SOON_MILLISECONDS}


def hang_up() -> None:
    """Close the calling thread's connections to the cache; for a thread about to end.

    Django keeps them for each thread and closes none: the collector comes upon them.
    """
    for backend in caches.all(initialized_only=True):
        pools = getattr(getattr(backend, "_cache", None), "_pools", {})
        for pool in pools.values():
            pool.disconnect()


def _key(counter_id: int) -> str:
    return f"rollups.circulating.{counter_id}"


def _take_own_turn(counter_ids: Collection[int], pause_seconds: float) -> list[int]:
    now = time.monotonic()
    free = sorted(one for one in counter_ids if _own_turns.get(one, 0.0) <= now)
    if len(_own_turns) + len(free) > _OWN_TURNS:
        _own_turns.clear()
    _own_turns.update(dict.fromkeys(free, now + pause_seconds))
    return free
