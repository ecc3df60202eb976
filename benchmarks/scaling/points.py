"""What an axis is, and the points that were measured along it."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

X = TypeVar("X", int, str)


@dataclass(frozen=True, slots=True)
class Series:
    """One thing that is measured at each point. Only a fitted one gets an exponent."""

    key: str
    label: str
    unit: str
    is_fitted: bool = True


@dataclass(frozen=True, slots=True)
class Axis:
    """What grows, and what is looked at as it does."""

    name: str
    title: str
    # What stands under the x axis. None: the points are kinds, not sizes.
    grows: str | None
    series: tuple[Series, ...]
    # Series of one unit that share a plot; by default each is drawn.
    plots: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """How far to go, and how often to measure each point."""

    quick: bool
    rounds: int
    say: Callable[[str], None]

    def sizes(self, full: Sequence[int], *, quick: int) -> list[int]:
        """Return the sizes of the axis; those up to `quick` where it must be."""
        return [size for size in full if not self.quick or size <= quick]


@dataclass(frozen=True, slots=True)
class Point:
    """Medians over all turns, and of every value the least and the most."""

    at: int | str
    values: dict[str, float]
    spread: dict[str, tuple[float, float]] = field(default_factory=dict)


def in_turns(
    xs: Sequence[X], turn: Callable[[X], dict[str, float]], plan: Plan
) -> list[Point]:
    """Measure A B C, A B C, ... and return the medians, a point an x."""
    found: dict[X, list[dict[str, float]]] = defaultdict(list)
    for number in range(plan.rounds):
        for x in xs:
            plan.say(f"round {number + 1} of {plan.rounds}: {x}")
            found[x].append(turn(x))
    return [summed_up(x, found[x]) for x in xs]


def summed_up(at: int | str, turns: Sequence[dict[str, float]]) -> Point:
    """Return the point that several turns make."""
    columns = {key: [turn[key] for turn in turns] for key in turns[0]}
    return Point(
        at,
        {key: statistics.median(column) for key, column in columns.items()},
        {key: (min(column), max(column)) for key, column in columns.items()},
    )


def typical_us(call: Callable[[], object], times: int) -> float:
    """Return the median time of a call, in microseconds."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e6
