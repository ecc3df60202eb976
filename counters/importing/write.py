"""Write batches. Events that the database refuses are rejected; the others are written."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from django.db import IntegrityError, transaction

from counters.errors import BatchRefused, CountersError, TokenConflict
from counters.partitions import create
from counters.recording import batch
from counters.recording.duplicates import Recorded
from counters.recording.validation import TokenedEvent

# Called with the index of a refused event and what is wrong with it.
Refuse = Callable[[int, CountersError], None]


@dataclass(frozen=True, slots=True)
class Written:
    """How many events of a batch were new, and how many were duplicates."""

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


def write(events: Sequence[TokenedEvent], refuse: Refuse) -> Written:
    """Write the events, except those whose token was used with another delta.

    Call it in a transaction. Raises BatchRefused for any other fault.
    """
    return _write(list(enumerate(events)), refuse)


def _write(numbered: list[tuple[int, TokenedEvent]], refuse: Refuse) -> Written:
    if not numbered:
        return Written(0, 0, 0)
    try:
        recorded = _record([event for _, event in numbered])
    except BatchRefused as refused:
        if not isinstance(refused.cause, TokenConflict):
            raise
        # Nothing was written. Leave out the bad event and write the two halves. A few
        # conflicts cost little, and even a batch of conflicts causes no deep recursion.
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


def _record(events: list[TokenedEvent]) -> list[Recorded]:
    """Record all events or none; an error leaves the caller's transaction usable."""
    try:
        with transaction.atomic():
            return batch.add_all(events)
    except IntegrityError:
        # A duplicate that was not visible yet made it fail. retry_if_duplicate does not retry
        # within a block, so retry here.
        with transaction.atomic():
            return batch.add_all(events)


class Coverage:
    """Create the partitions that a batch needs, and remember those that exist."""

    def __init__(self) -> None:
        self._days: set[date] = set()
        self.made = 0

    def ensure(self, events: Iterable[TokenedEvent]) -> None:
        """Create the missing partitions of these events' days, and of no other days."""
        missing = {event.event_time.date() for event in events} - self._days
        if not missing:
            return
        there = create.existing()
        for day in sorted(missing):
            at = datetime.combine(day, time.min, UTC)
            if not _is_in(there, at):
                self.made += len(create.make(at, at))
                there = create.existing()
        self._days |= missing


def _is_in(there: list[create.Partition], at: datetime) -> bool:
    index = bisect_right(there, at, key=lambda partition: partition.since)
    return index > 0 and at < there[index - 1].until
