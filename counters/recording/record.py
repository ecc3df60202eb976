"""Recording events: the write path.

An add is one SQL statement that appends the event and its last write together, so both
are committed or neither is. Outside a transaction block that is one round trip and no
BEGIN/COMMIT pair; inside the caller's `atomic()` it commits or rolls back with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from counters.db import clock
from counters.db.statements import fetch_row
from counters.errors import BatchRefused, CounterNotFound, CountersError
from counters.namespaces import best_effort, lookup
from counters.recording import batch
from counters.recording.announce import after_commit
from counters.recording.duplicates import Recorded, answer_repeat, see_repeats
from counters.recording.new_counters import MOST_TRIES, create_counters
from counters.recording.tokens import GivenToken, as_text
from counters.recording.validation import CheckedEvent, check_event


@dataclass(frozen=True, slots=True)
class NewEvent:
    """One event of a batch, as the caller gives it."""

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
    A duplicate of a token returns the first event with `duplicate=True`. Without a token the
    server makes one. Raises MissingValue, InvalidValue, NamespaceNotFound,
    OutsideAcceptWindow, or TokenConflict (same token, other delta; nothing is written).
    """
    return add_checked(
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


def add_checked(event: CheckedEvent) -> Recorded:
    """As `add`, for an event that `check_event` returned."""
    if best_effort.applies_to(event.namespace):
        best_effort.add(event.namespace, event.name, event.delta)
        return Recorded(0, None, event.event_time, duplicate=False)
    # Found once: each use of `django.db.connection` looks this thread's own up again.
    connection = connections[DEFAULT_DB_ALIAS]
    for _ in range(MOST_TRIES):
        appended = _append(connection, event)
        if appended is None:
            create_counters(connection, [event])
            continue
        counter_id, is_new = appended
        if is_new:
            after_commit(connection, [counter_id])
            return Recorded(
                counter_id, event.token.text, event.event_time, duplicate=False
            )
        answer = answer_repeat(event, counter_id)
        if answer is not None:
            return answer
    # The namespace was deleted, or the counter is deleted again and again.
    lookup.forget_all()
    raise CounterNotFound(event.namespace.name, event.name)


def _append(
    connection: BaseDatabaseWrapper, event: CheckedEvent
) -> tuple[int, bool] | None:
    """Run the one statement; return counter id and is-new, None without the counter."""
    parameters: dict[str, Any] = {
        "namespace_id": event.namespace.pk,
        "name": event.name,
        "token": event.token.uuid,
        "event_time": event.event_time,
        "delta": event.delta,
    }
    statement = "add_event"
    if event.untimed:
        statement = "add_event_of_untimed_token"
        parameters["accept_past"] = event.namespace.accept_past
    row = see_repeats(
        connection,
        lambda: fetch_row(connection, "counters", statement, **parameters),
    )
    return (row[0], row[1]) if row else None
