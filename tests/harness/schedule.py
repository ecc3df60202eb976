"""Which faults come, in what order and for how long: from the seed alone.

Faults come in rounds, each of every fault once in a new order, so that none is rare.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# How often two faults come at once.
_PAIRS = 0.25


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault of a step. `twist` is the fault's own choice, between 0 and 1."""

    fault: str
    twist: float


@dataclass(frozen=True, slots=True)
class Step:
    """A pause, then one fault or two at once, which last for a while."""

    pause_seconds: float
    hold_seconds: float
    faults: tuple[Planned, ...]

    def __str__(self) -> str:
        names = " + ".join(one.fault for one in self.faults)
        return f"{names} for {self.hold_seconds:.1f} s"


def place(fault: str) -> str:
    """Return what the fault breaks; two faults of one place never come at once."""
    where = fault.split()[0]
    return "database" if where in {"connections", "disk", "transaction"} else where


def steps(
    *, seed: str, faults: Sequence[str], most_hold_seconds: float
) -> Iterator[Step]:
    """Yield steps without end."""
    chance = random.Random(f"{seed} schedule")
    while True:
        left = [*faults]
        chance.shuffle(left)
        while left:
            chosen = [left.pop()]
            if chance.random() < _PAIRS:
                others = [one for one in left if place(one) != place(chosen[0])]
                if others:
                    left.remove(others[-1])
                    chosen.append(others[-1])
            yield Step(
                pause_seconds=chance.uniform(0, most_hold_seconds / 4),
                hold_seconds=chance.uniform(most_hold_seconds / 4, most_hold_seconds),
                faults=tuple(Planned(one, chance.random()) for one in chosen),
            )
