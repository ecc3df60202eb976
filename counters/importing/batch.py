"""The rows of one commit: their events, and what is wrong with the others."""

from __future__ import annotations

from dataclasses import dataclass, field

from counters.recording.validation import CheckedEvent


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row was, and the row itself, for the rejects file."""

    line: int
    place: str
    text: str


@dataclass(slots=True)
class Batch:
    """Some rows of the file, in order."""

    events: list[CheckedEvent] = field(default_factory=list)
    # Of each event.
    origins: list[Origin] = field(default_factory=list)
    # Rows that cannot be imported, and why.
    bad: list[tuple[Origin, str]] = field(default_factory=list)
    rows: int = 0
    # The place in the file behind the last of the rows.
    offset: int = 0
    line: int = 0

    def add(self, events: list[CheckedEvent], origin: Origin) -> None:
        self.events += events
        self.origins += [origin] * len(events)
