"""What a benchmark found, in a shape that is printed, kept as JSON and drawn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """A median over turns, and the least and the most of them."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{short(self.median)} ({short(self.least)} to {short(self.most)})"


@dataclass(slots=True)
class Table:
    """Rows to look at; the first column says what a row is."""

    headings: list[str]
    rows: list[list[str]] = field(default_factory=list)


@dataclass(slots=True)
class Result:
    """All that one benchmark found.

    `figures` are what the targets look at, by name. `drawn` is what the plots need.
    """

    title: str
    table: Table
    figures: dict[str, Figure] = field(default_factory=dict)
    drawn: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def figure(values: Sequence[float]) -> Figure:
    return Figure(statistics.median(values), min(values), max(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    """Compare turn by turn: what stood side by side in time."""
    return figure([a / b for a, b in zip(ours, theirs, strict=True)])


def short(value: float) -> str:
    """Write a number with three digits that count."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
