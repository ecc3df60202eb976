"""Record one event.

One SQL statement appends the event and its last write, so both are committed or neither is.
Outside a transaction block that is one round trip without BEGIN and COMMIT. Inside the
caller's `atomic()` it commits or rolls back with the block. After the commit the signal
`events_committed` is sent, once for each transaction.
"""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from counters.db.statements import fetch_row
from counters.errors import CounterNotFound
from counters.namespaces import best_effort, lookup
from counters.recording.announce import after_commit
from counters.recording.duplicates import Recorded, answer_repeat, see_repeats
from counters.recording.new_counters import MOST_TRIES, create_counters
from counters.recording.validation import CheckedEvent


def record(event: CheckedEvent) -> Recorded:
    """Record an event that `check_event` returned; create its counter if it is missing."""
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
