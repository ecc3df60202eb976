"""Circulation: a counter that is still pending after its fold is folded again soon.

A key a counter in the cache says where its next message is: on its way back (the pause), or
here, with a fold that has begun (a mark). No key: nobody folds it without being told.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection
from dataclasses import dataclass

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
# In the pause's place while the counter is folded. Longer than any pause, so a publisher of
# an older version does not take it for a fold to come.
_BEING_FOLDED = 1_000_000
# This process's own turns, for when the cache fails: counter id -> until when.
_own_turns: dict[int, float] = {}
_OWN_TURNS = 100_000


@dataclass(frozen=True, slots=True)
class Circulating:
    """Which counters need no message now."""

    # A fold of them begins later: it will see what was committed until now.
    coming_soon: frozenset[int] = frozenset()
    # Their fold has begun, so it may not have seen that. In a moment it is known whether
    # they stay in circulation: who asks again then needs no message, or sends it.
    being_folded: frozenset[int] = frozenset()


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
        pauses = cache.get_many(keys)
        # Whoever folds it may have looked for the last time what is pending still.
        free = {
            key: each
            for key, each in keys.items()
            if pauses.get(key, _BEING_FOLDED) == _BEING_FOLDED
        }
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
    """Say that their message is here and their fold is about to begin.

    Before the fold's snapshot, never after: whoever saw them coming relies on that fold.
    """
    marks = dict.fromkeys(map(_key, counter_ids), _BEING_FOLDED)
    try:
        cache.set_many(marks, timeout=_LATE_SECONDS)
    except Exception as error:
        # A cache that is full still deletes.
        logger.warning("The cache fails, so folds are not announced: %s", error)
        leave(counter_ids)


def leave(counter_ids: Collection[int]) -> None:
    """Say that no message of them is on its way, and no fold has begun."""
    if not counter_ids:
        return
    for counter_id in counter_ids:
        _own_turns.pop(counter_id, None)
    try:
        cache.delete_many([_key(counter_id) for counter_id in counter_ids])
    except Exception as error:
        logger.warning("The cache fails, so turns end by themselves: %s", error)


def look_up(counter_ids: Collection[int]) -> Circulating:
    """Return those of which a message is on its way back, without a long pause, or here.

    What is committed before this is called is in the snapshot of the fold to come, so a
    message of its own would tell the workers nothing. None where the cache fails.
    """
    keys = {_key(counter_id): counter_id for counter_id in counter_ids}
    try:
        pauses = cache.get_many(keys)
    except Exception as error:
        logger.debug("Nobody knows what circulates: %s", error)
        return Circulating()
    return Circulating(
        frozenset(keys[key] for key, ms in pauses.items() if ms <= _SOON_MILLISECONDS),
        frozenset(keys[key] for key, ms in pauses.items() if ms == _BEING_FOLDED),
    )


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
