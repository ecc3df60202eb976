"""Checks what clients saw of one counter, after Jepsen's counter checker.

A history is what each client knows: when it began a call, when it had the answer, and what
the answer said. From that alone follows between which bounds a read may lie: it must hold
every add that was acknowledged before it began, and may hold any that was begun before it
ended. Nothing of the server is trusted but the claims that its answers make.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal


@dataclass(frozen=True, slots=True)
class Add:
    """One token's add: begun with its first attempt, ended with its first answer."""

    began: float
    # None where no attempt was ever answered: it may count, now or later.
    ended: float | None
    delta: int


@dataclass(frozen=True, slots=True)
class Read:
    """One read. `as_of` is what the answer claims: all that was committed by then is in it."""

    began: float
    ended: float
    count: int
    accuracy: Literal["accurate", "eventual"]
    as_of: float


@dataclass(frozen=True, slots=True)
class Bounds:
    least: int
    most: int


class _Sums:
    """Sums of deltas up to an instant, without a look at every add for every read."""

    def __init__(self, at_and_delta: Iterable[tuple[float, int]]) -> None:
        ordered = sorted(at_and_delta)
        self._times = [at for at, _ in ordered]
        deltas = [delta for _, delta in ordered]
        self._rises = [0, *accumulate(max(delta, 0) for delta in deltas)]
        self._falls = [0, *accumulate(min(delta, 0) for delta in deltas)]

    def by(self, at: float) -> Bounds:
        """Return the sum of what takes off, and of what adds, up to and with `at`."""
        number = bisect_right(self._times, at)
        return Bounds(self._falls[number], self._rises[number])


class History:
    """The adds of one counter, ready for many questions."""

    def __init__(self, adds: Iterable[Add]) -> None:
        adds = list(adds)
        self._begun = _Sums((add.began, add.delta) for add in adds)
        self._acknowledged = _Sums(
            (add.ended, add.delta) for add in adds if add.ended is not None
        )

    def bounds(self, *, acknowledged_by: float, begun_by: float) -> Bounds:
        """Return what a count may be that holds what was acknowledged, and maybe what was begun.

        What may or may not be in it pulls in its own direction: any subset is possible.
        What was acknowledged was begun, too: `acknowledged_by` is not after `begun_by`.
        """
        certain = self._acknowledged.by(acknowledged_by)
        possible = self._begun.by(begun_by)
        return Bounds(certain.most + possible.least, certain.least + possible.most)


def bounds(adds: Iterable[Add], *, acknowledged_by: float, begun_by: float) -> Bounds:
    """As History.bounds, for one question."""
    history = History(adds)
    return history.bounds(acknowledged_by=acknowledged_by, begun_by=begun_by)


def violations(adds: Sequence[Add], reads: Sequence[Read]) -> list[str]:
    """Return a line for each thing that cannot have happened; none for a good history."""
    found = []
    history = History(adds)
    for read in reads:
        # An eventual read may lag behind its beginning, but not behind its own claim.
        by = read.began if read.accuracy == "accurate" else min(read.as_of, read.ended)
        allowed = history.bounds(acknowledged_by=by, begun_by=read.ended)
        if not allowed.least <= read.count <= allowed.most:
            found.append(f"{read} lies outside of {allowed}")
        if read.as_of > read.ended:
            found.append(f"{read} claims to know the future")
    if all(add.delta >= 0 for add in adds):
        found += _falls(reads)
    return found


def _falls(reads: Sequence[Read]) -> list[str]:
    """Return where a count fell from one read to a later one that must hold no less."""
    found = []
    for accuracy in ("accurate", "eventual"):
        # An accurate read is never behind any read before it; an eventual one is never
        # behind an eventual one.
        before = [
            read
            for read in reads
            if accuracy == "accurate" or read.accuracy == "eventual"
        ]
        before.sort(key=lambda read: read.ended)
        highest: Read | None = None
        position = 0
        after = sorted(
            (read for read in reads if read.accuracy == accuracy),
            key=lambda read: read.began,
        )
        for read in after:
            while position < len(before) and before[position].ended <= read.began:
                if highest is None or before[position].count > highest.count:
                    highest = before[position]
                position += 1
            if highest is not None and read.count < highest.count:
                found.append(f"{read} came after {highest}")
    return found
