"""Commits batches; an event that the database refuses is set aside, the rest goes in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from counters.errors import BatchRefused, CountersError, TokenConflict
from counters.recording import batch
from counters.recording.duplicates import Recorded
from counters.recording.validation import CheckedEvent

# Called with the index of a refused event and what is wrong with it.
Refuse = Callable[[int, CountersError], None]


@dataclass(frozen=True, slots=True)
class Written:
    """How many events of a batch were new, and how many were there before."""

    added: int
    duplicates: int
    # Duplicates after an event that was new.
    late_duplicates: int

    def __add__(self, other: Written) -> Written:
        late = other.duplicates if self.added else other.late_duplicates
        return Written(
            self.added + other.added,
            self.duplicates + other.duplicates,
            self.late_duplicates + late,
        )


def write(events: Sequence[CheckedEvent], refuse: Refuse) -> Written:
    """Write the events, except those whose token was used with another delta.

    Call it in a transaction. Raises BatchRefused for any other fault.
    """
    return _write(list(enumerate(events)), refuse)


def _write(numbered: list[tuple[int, CheckedEvent]], refuse: Refuse) -> Written:
    if not numbered:
        return Written(0, 0, 0)
    try:
        recorded = _record([event for _, event in numbered])
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
        return first + second
    duplicates = sum(one.duplicate for one in recorded)
    new = (i for i, one in enumerate(recorded) if not one.duplicate)
    first_new = next(new, len(recorded))
    return Written(len(recorded) - duplicates, duplicates, duplicates - first_new)


def _record(events: list[CheckedEvent]) -> list[Recorded]:
    """Record all or none of them; an error leaves the caller's transaction usable."""
    try:
        with transaction.atomic():
            return batch.add_all(events)
    except IntegrityError:
        # see_repeats does not try again within a block, so try again here: an unseen duplicate
        # made it fail.
        with transaction.atomic():
            return batch.add_all(events)
