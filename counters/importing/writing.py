"""Commits batches; an event that the database refuses is set aside, the rest goes in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from counters import batches
from counters.checking import CheckedEvent
from counters.errors import BatchRefused, CountersError, TokenConflict

# Called with the index of a refused event and what is wrong with it.
Refuse = Callable[[int, CountersError], None]


@dataclass(frozen=True, slots=True)
class Written:
    """How many events of a batch were new, and how many were there before."""

    added: int
    duplicates: int


def write(events: Sequence[CheckedEvent], refuse: Refuse) -> Written:
    """Commit the events but those whose token was used with another delta.

    Raises BatchRefused where more is wrong than that; what was committed stays.
    """
    return _write(list(enumerate(events)), refuse)


def _write(numbered: list[tuple[int, CheckedEvent]], refuse: Refuse) -> Written:
    if not numbered:
        return Written(0, 0)
    try:
        recorded = batches.add_all([event for _, event in numbered])
    except BatchRefused as refused:
        if not isinstance(refused.cause, TokenConflict):
            raise
        # Nothing was written. Without the bad event the halves are tried: a few
        # conflicts cost little, and a batch of nothing else takes no deep recursion.
        index, _ = numbered.pop(refused.index)
        refuse(index, refused.cause)
        middle = len(numbered) // 2
        first, second = (
            _write(half, refuse) for half in (numbered[:middle], numbered[middle:])
        )
        return Written(first.added + second.added, first.duplicates + second.duplicates)
    duplicates = sum(one.duplicate for one in recorded)
    return Written(len(recorded) - duplicates, duplicates)
