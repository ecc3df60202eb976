"""Count calls in windows of time, in the cache that all processes share.

DRF's own throttles read a list, change it and write it back, so that some of the calls made at
the same time are not counted. Here each call is one atomic `incr`.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass

from django.core.cache import cache

logger = logging.getLogger(__name__)

# After the cache has failed, nothing is counted for this long: a slow cache delays one call.
PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Used:
    """The number of calls in the current window, and the seconds until it ends."""

    calls: int
    reset_seconds: int


class RateWindow:
    """Windows of fixed length, by the clock; `name` begins the keys in the cache."""

    def __init__(self, name: str, *, seconds: int) -> None:
        self._name = name
        self._seconds = seconds
        self._paused_until = 0.0

    def count(self, caller: str) -> Used | None:
        """Count a call; return None if the cache is down.

        A limit protects the service. A cache that is down must not stop it.
        """
        if time.monotonic() < self._paused_until:
            return None
        now = time.time()
        left = math.ceil(self._seconds - now % self._seconds)
        try:
            return Used(_increment(self._key(caller, now), self._seconds), left)
        except Exception as error:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            logger.warning("%s: not counted, the cache fails: %s", self._name, error)
            return None

    def forget(self, *callers: str) -> None:
        """Start again from 0 in the current window."""
        try:
            cache.delete_many([self._key(caller, time.time()) for caller in callers])
        except Exception as error:
            logger.warning("%s: still counted, the cache fails: %s", self._name, error)

    def resume(self) -> None:
        """Ask the cache again at the next call."""
        self._paused_until = 0.0

    def _key(self, caller: str, now: float) -> str:
        return f"{self._name}.{caller}.{int(now // self._seconds)}"


def _increment(key: str, seconds: int) -> int:
    try:
        return int(cache.incr(key))
    except ValueError:
        # The first call. Of several at the same time, one adds the key and all count in it.
        if cache.add(key, 1, 2 * seconds):
            return 1
        return int(cache.incr(key))
