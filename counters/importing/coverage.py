"""Makes the partitions that a batch needs, and remembers those that are there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, date, datetime, time

from counters.partitions import create
from counters.recording.validation import CheckedEvent


class Coverage:
    """Which days have a partition, as far as this import knows."""

    def __init__(self) -> None:
        self._days: set[date] = set()
        self.made = 0

    def ensure(self, events: Iterable[CheckedEvent]) -> None:
        """Make what is missing for these events: nothing for the days between them."""
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
