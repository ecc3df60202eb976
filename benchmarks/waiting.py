"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(
    holds: Callable[[], bool],
    failure: str,
    *,
    within_seconds: float,
    every_seconds: float = 0.05,
) -> None:
    """Return when it holds. Raises RuntimeError, which says `failure`, where it does not."""
    deadline = time.monotonic() + within_seconds
    while not holds():
        if time.monotonic() >= deadline:
            raise RuntimeError(f"{failure} within {within_seconds:g} s")
        time.sleep(every_seconds)
