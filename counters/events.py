"""Record events. Import these functions to write counters from Python.

`add` records one event, `add_many` a batch. Both commit with the caller's transaction, or at once
outside of one. Every argument is a keyword; namespaces and names are text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from counters.db import clock
from counters.errors import BatchRefused, CountersError, InvalidValue
from counters.recording import batch
from counters.recording.duplicates import Recorded
from counters.recording.record import record
from counters.recording.tokens import GivenToken, as_text
from counters.recording.validation import check_event

__all__ = ["NewEvent", "Recorded", "add", "add_many"]


@dataclass(frozen=True, slots=True)
class NewEvent:
    """One event of a batch."""

    namespace: str
    name: str
    delta: int = 1
    token: GivenToken | None = None
    generation_time: datetime | None = None


def add(
    *,
    namespace: str,
    name: str,
    delta: int = 1,
    token: GivenToken | None = None,
    generation_time: datetime | None = None,
) -> Recorded:
    """Add `delta` to a counter; its first add creates the counter.

    A token is text, a whole number or a UUID; a number is the same token as its digits.
    A duplicate of a token returns the first event with `duplicate=True`. Without a token, a
    retry counts again. Raises MissingValue, InvalidValue, NamespaceNotFound,
    OutsideAcceptWindow, or TokenConflict (same token, other delta; nothing is written).
    """
    return record(
        check_event(
            namespace=namespace,
            name=name,
            delta=delta,
            token=as_text(token),
            generation_time=generation_time,
        )
    )


def add_many(events: Iterable[NewEvent], *, any_age: bool = False) -> list[Recorded]:
    """Add a batch in one statement, all or nothing; return an answer each, in order.

    Raises BatchRefused, which names the index of the bad event and carries its error.
    `any_age` lifts the accept window, for imports of old events; make the partitions
    first (`counters.partitions.create.make`).
    """
    now = clock.now()
    checked = []
    for index, event in enumerate(events):
        try:
            _check_type(event)
            checked.append(
                check_event(
                    namespace=event.namespace,
                    name=event.name,
                    delta=event.delta,
                    token=as_text(event.token),
                    generation_time=event.generation_time,
                    now=now,
                    any_age=any_age,
                )
            )
        except CountersError as error:
            raise BatchRefused(index, error) from error
    return batch.add_all(checked)


def _check_type(event: object) -> None:
    if not isinstance(event, NewEvent):
        raise InvalidValue("event", event, "a counters.events.NewEvent")
