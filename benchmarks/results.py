"""The result of a benchmark: a table, figures with their spread, rates to draw."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of all turns, the least and the most."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{short(self.median)} ({short(self.least)} to {short(self.most)})"


@dataclass(slots=True)
class Table:
    """Rows for the reader; the first column names the row."""

    headings: list[str]
    rows: list[list[str]] = field(default_factory=list)


@dataclass(slots=True)
class Result:
    """The result of one benchmark.

    The targets look at `figures`. `rates` are the events a second of each peer.
    """

    title: str
    table: Table
    figures: dict[str, Figure] = field(default_factory=dict)
    rates: dict[str, Figure] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def figure(values: Sequence[float]) -> Figure:
    return Figure(statistics.median(values), min(values), max(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    """Compare turn by turn: each pair was measured side by side."""
    return figure([a / b for a, b in zip(ours, theirs, strict=True)])


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return a percentile of sorted values; `share` is from 0 to 100."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))]


def short(value: float) -> str:
    """Write a number with three significant digits."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
