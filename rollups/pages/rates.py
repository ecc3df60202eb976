"""Rates from samples of what only grows: a number that fell was begun anew."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rollups.monitor.samples import Reading


def over(samples: Sequence[Reading], name: str) -> float | None:
    """Return how much a number grew a second from the first sample to the last.

    None where there are no two samples, or it fell.
    """
    return between(samples[0], samples[-1], name) if len(samples) > 1 else None


def each(samples: Sequence[Reading], name: str) -> list[float | None]:
    """Return the rate at each sample, since the one before; None at the first."""
    grown = [between(one, two, name) for one, two in pairwise(samples)]
    return [None, *grown] if samples else []


def between(before: Reading, after: Reading, name: str) -> float | None:
    seconds = (after.sampled_at - before.sampled_at).total_seconds()
    grown = _number(after, name) - _number(before, name)
    return grown / seconds if seconds > 0 and grown >= 0 else None


def _number(sample: Reading, name: str) -> int:
    return sample.inserted if name == "inserted" else sample.numbers.get(name, 0)
