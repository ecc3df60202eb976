"""The circuit breaker: after a failure the broker is left alone for a moment."""

from __future__ import annotations

import time

from rollups import conf


class Breaker:
    """Open after a failure; closed again once the pause is over.

    The first to publish after the pause is the probe: if that fails too, the next pause
    begins. No lock: two threads that fail together trip it twice to no harm.
    """

    def __init__(self) -> None:
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self._open_until

    @property
    def remaining_seconds(self) -> float:
        return max(0.0, self._open_until - time.monotonic())

    def trip(self) -> None:
        self._open_until = time.monotonic() + conf.trigger_pause_seconds()

    def reset(self) -> None:
        self._open_until = 0.0
