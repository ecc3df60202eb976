"""Record one event.

One SQL statement appends the event and its last write, so both are committed or neither is.
Outside a transaction block that is one round trip without BEGIN and COMMIT. Inside the
caller's `atomic()` it commits or rolls back with the block. After the commit the signal
`events_committed` is sent, once for each transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from counters.db import clock
from counters.db.statements import fetch_row
from counters.errors import CounterNotFound
from counters.namespaces import best_effort, lookup
from counters.recording.duplicates import Recorded, answer_duplicate, retry_if_duplicate
from counters.recording.new_counters import MOST_TRIES, create_counters
from counters.recording.validation import CheckedEvent, TokenedEvent, UntokenedEvent
from counters.signals import events_committed


def record(event: CheckedEvent) -> Recorded:
    """Record an event that `check_event` returned; create its counter if it is missing."""
    if best_effort.applies_to(event.namespace):
        best_effort.add(event.namespace, event.name, event.delta)
        return Recorded(0, None, event.event_time or clock.now(), duplicate=False)
    # Looked up once, because each use of `django.db.connection` looks up the thread's
    # connection.
    connection = connections[DEFAULT_DB_ALIAS]
    for _ in range(MOST_TRIES):
        recorded = (
            _append(connection, event)
            if isinstance(event, UntokenedEvent)
            else _append_once(connection, event)
        )
        if recorded is not None:
            if not recorded.duplicate:
                after_commit(connection, [recorded.counter_id])
            return recorded
        create_counters(connection, [event])
    # The namespace was deleted, or the counter is deleted again and again.
    lookup.forget_all()
    raise CounterNotFound(event.namespace.name, event.name)


def _append(connection: BaseDatabaseWrapper, event: UntokenedEvent) -> Recorded | None:
    """Append an event without a token; return None if the counter does not exist."""
    parameters = event.event_time, event.delta, event.namespace.pk, event.name
    row = retry_if_duplicate(
        connection,
        fetch_row,
        connection,
        "counters",
        "add_event_without_token",
        parameters,
    )
    return Recorded(row[0], None, row[1], False) if row else None


def _append_once(
    connection: BaseDatabaseWrapper, event: TokenedEvent
) -> Recorded | None:
    """Append an event, or find the first event of its token.

    Returns None if the counter does not exist. Raises TokenConflict.
    """
    statement = "add_event"
    parameters: dict[str, Any] = {
        "namespace_id": event.namespace.pk,
        "name": event.name,
        "token": event.token.uuid,
        "event_time": event.event_time,
        "delta": event.delta,
    }
    if event.untimed:
        statement = "add_event_of_untimed_token"
        parameters["accept_past"] = event.namespace.accept_past
    row = retry_if_duplicate(
        connection, fetch_row, connection, "counters", statement, parameters
    )
    if row is None:
        return None
    counter_id, is_new = row
    if is_new:
        return Recorded(counter_id, event.token.text, event.event_time, duplicate=False)
    # None: the counter was deleted meanwhile, with its events.
    return answer_duplicate(event, counter_id)


class Announcement:
    """Post-commit hook of one transaction. Sends `events_committed` once."""

    # Django logs a robust hook's failure under this name.
    __qualname__ = "Announcement"

    def __init__(self) -> None:
        self.counter_ids: set[int] = set()
        self.events = 0

    def __call__(self) -> None:
        _announce(self.counter_ids, self.events)


def _announce(counter_ids: Iterable[int], events: int) -> None:
    # send_robust: the events are committed, so a receiver's error must not reach the writer.
    events_committed.send_robust(
        sender=Announcement, counter_ids=frozenset(counter_ids), events=events
    )


def after_commit(
    connection: BaseDatabaseWrapper, counter_ids: Iterable[int], *, events: int = 1
) -> None:
    """Announce the counters once the connection's transaction has committed.

    In autocommit mode that is now. A transaction that rolls back announces nothing.
    """
    if not connection.in_atomic_block:
        _announce(counter_ids, events)
        return
    announcement = _registered(connection)
    announcement.counter_ids.update(counter_ids)
    announcement.events += events


def _registered(connection: BaseDatabaseWrapper) -> Announcement:
    """Return the transaction's announcement; register it on the first add.

    Django drops it together with the savepoint in which it was registered. Adds that joined it
    later are in the same savepoint or in an inner one, so every commit is announced. An add
    whose savepoint was rolled back may be announced; its fold changes nothing.
    """
    # The stubs know tuples of two; each has a third item, "robust".
    hooks: list[Any] = connection.run_on_commit
    for _, hook, _ in hooks:
        if isinstance(hook, Announcement):
            return hook
    announcement = Announcement()
    connection.on_commit(announcement, robust=True)
    return announcement
