"""The ways to count that the benchmarks compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to count.

    The runner calls `setup` once with the number of counters. A client calls `step` with
    the number of a counter; a step counts `step_events` events. The `programs` run
    next to the clients.
    """

    title: str
    setup: Callable[[int], None]
    step: Callable[[int], object]
    step_events: int = 1
    programs: tuple[str, ...] = ()
