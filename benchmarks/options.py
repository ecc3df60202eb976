"""How long and how often a benchmark measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What every benchmark is told; `say` takes what it is at now."""

    seconds: float
    rounds: int
    clients: int
    quick: bool
    say: Callable[[str], None]

    def pick(self, *, full: int, quick: int) -> int:
        """Return how much of something there is, in a full run and in a quick one."""
        return quick if self.quick else full
