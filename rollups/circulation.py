"""Circulation: a counter that is still pending after its fold is folded again soon."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from django.core.cache import cache

logger = logging.getLogger(__name__)

# This process's own turns, for when the cache fails: counter id -> until when.
_own_turns: dict[int, float] = {}
_OWN_TURNS = 100_000


def take_turn(counter_ids: Collection[int], pause_seconds: float) -> list[int]:
    """Return those counters that nobody has put into circulation within the last pause.

    The caller is to enqueue them once, to run after the pause. Every message for a hot
    counter finds it pending; were each to enqueue it, the queue would grow without end.
    Two workers that ask at the same instant may both take the turn: one message more.
    """
    if not counter_ids:
        return []
    keys = {
        f"rollups.circulating.{counter_id}": counter_id for counter_id in counter_ids
    }
    try:
        taken = cache.get_many(keys)
        free = {key: each for key, each in keys.items() if key not in taken}
        if free:
            cache.set_many(dict.fromkeys(free, 1), timeout=pause_seconds)
    # Whatever the cache's client raises: folding does not depend on it.
    except Exception as error:
        logger.warning("The cache fails, so turns are each worker's own: %s", error)
        return _take_own_turn(counter_ids, pause_seconds)
    return sorted(free.values())


def _take_own_turn(counter_ids: Collection[int], pause_seconds: float) -> list[int]:
    now = time.monotonic()
    free = sorted(one for one in counter_ids if _own_turns.get(one, 0.0) <= now)
    if len(_own_turns) + len(free) > _OWN_TURNS:
        _own_turns.clear()
    _own_turns.update(dict.fromkeys(free, now + pause_seconds))
    return free
