"""Which counters are written: one, all alike, or a few much and many little."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Literal

# Keys that a client draws before it starts; it takes them again and again.
DRAWN = 50_000
ZIPF_EXPONENT = 1.1


@dataclass(frozen=True, slots=True)
class Load:
    """How many counters there are, and how writes spread over them."""

    counters: int
    spread: Literal["hot", "uniform", "zipf"]

    def keys(self, *, seed: int) -> Sequence[int]:
        """Return the numbers of the counters to write, in order."""
        chance = random.Random(seed)
        if self.spread == "hot":
            return [0]
        if self.spread == "uniform":
            return [chance.randrange(self.counters) for _ in range(DRAWN)]
        sums = _zipf_sums(self.counters)
        return [bisect(sums, chance.random() * sums[-1]) for _ in range(DRAWN)]

    @property
    def words(self) -> str:
        if self.spread == "hot":
            return "hot"
        return f"{self.counters:,} {self.spread}"


HOT = Load(1, "hot")


@cache
def _zipf_sums(counters: int) -> list[float]:
    return list(accumulate((i + 1) ** -ZIPF_EXPONENT for i in range(counters)))
