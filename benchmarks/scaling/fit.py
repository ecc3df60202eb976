"""Exponents: y ~ x to the power of e, by least squares on the logarithms of both."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """From one size to the next, and the exponent between them."""

    since: float
    until: float
    exponent: float


def exponent(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the slope of log y on log x: 0 is flat, 1 grows in proportion.

    Raises ValueError for fewer than two sizes, or for a value that is not positive.
    """
    if len(set(xs)) < 2:
        raise ValueError("An exponent needs two sizes.")
    if min(*xs, *ys) <= 0:
        raise ValueError("An exponent needs positive values.")
    return statistics.linear_regression(
        [math.log(x) for x in xs], [math.log(y) for y in ys]
    ).slope


def steps(xs: Sequence[float], ys: Sequence[float]) -> list[Step]:
    """Return the exponent between each size and the next: where the line bends."""
    return [
        Step(xs[i], xs[i + 1], exponent(xs[i : i + 2], ys[i : i + 2]))
        for i in range(len(xs) - 1)
    ]
