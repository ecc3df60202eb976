"""The events that wait for the next commit, with the rows that they come from."""

from __future__ import annotations

from dataclasses import dataclass, field

from counters.checking import CheckedEvent


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an event's row was, and the row itself, for the rejects file."""

    line: int
    place: str
    text: str


@dataclass(slots=True)
class Batch:
    """Events in the order of the file, and the origin of each."""

    events: list[CheckedEvent] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)

    def add(self, events: list[CheckedEvent], origin: Origin) -> None:
        self.events += events
        self.origins += [origin] * len(events)
