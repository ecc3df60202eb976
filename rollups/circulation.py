"""Circulation: a counter that is still pending after its fold is folded again soon."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection

from django.core.cache import cache

from rollups import conf

logger = logging.getLogger(__name__)

# Django's Redis cache keeps a key for whole seconds, and one for 0 s not at all. So a key
# says itself until when its turn lasts, and lives on for a little.
_KEY_SECONDS = 2
# Hosts that keep time by NTP are closer together than this.
_CLOCKS_APART_SECONDS = 0.005
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
    keys = {_key(counter_id): counter_id for counter_id in counter_ids}
    now = time.time()
    try:
        until = cache.get_many(keys)
        free = {key: each for key, each in keys.items() if until.get(key, 0.0) <= now}
        if free:
            turns = dict.fromkeys(free, now + pause_seconds)
            cache.set_many(turns, timeout=math.ceil(pause_seconds) + _KEY_SECONDS)
    # Whatever the cache's client raises: folding does not depend on it.
    except Exception as error:
        logger.warning("The cache fails, so turns are each worker's own: %s", error)
        return _take_own_turn(counter_ids, pause_seconds)
    return sorted(free.values())


def coming(counter_ids: Collection[int]) -> set[int]:
    """Return those that circulate and whose next fold is near, but not begun yet.

    That fold covers whatever is committed now: a message of its own would tell the workers
    nothing. None where the cache fails.
    """
    keys = {_key(counter_id): counter_id for counter_id in counter_ids}
    try:
        until = cache.get_many(keys)
    except Exception as error:
        logger.debug("Nobody knows what circulates: %s", error)
        return set()
    # A worker whose clock is ahead has begun a little before our clock says so.
    soonest = time.time() + _CLOCKS_APART_SECONDS
    latest = soonest + conf.fold_rest_seconds()
    return {keys[key] for key, instant in until.items() if soonest < instant < latest}


def _key(counter_id: int) -> str:
    return f"rollups.circulating.{counter_id}"


def _take_own_turn(counter_ids: Collection[int], pause_seconds: float) -> list[int]:
    now = time.monotonic()
    free = sorted(one for one in counter_ids if _own_turns.get(one, 0.0) <= now)
    if len(_own_turns) + len(free) > _OWN_TURNS:
        _own_turns.clear()
    _own_turns.update(dict.fromkeys(free, now + pause_seconds))
    return free
