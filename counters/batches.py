"""Recording many events at once: all of them or none, in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from django.db import DatabaseError, connection

from counters import best_effort
from counters.announcing import after_commit
from counters.checking import CheckedEvent
from counters.creating import create_counters
from counters.errors import (
    BatchRefused,
    CounterNotFound,
    NotForBestEffort,
    TokenConflict,
)
from counters.repeats import Recorded, find_first_events, see_repeats
from counters.statements import fetch

BATCH_EVENTS = 10_000
# What the SQL function counters_check_repeat raises.
CONFLICT_SQLSTATE = "CN409"


def add_all(events: Sequence[CheckedEvent]) -> list[Recorded]:
    """Record the events in one statement and return an answer for each, in order.

    Raises BatchRefused with the index of a conflicting event; then nothing was added, and
    inside the caller's `atomic()` the transaction is to be rolled back.
    """
    for index, event in enumerate(events):
        if best_effort.applies_to(event.namespace):
            # A cache cannot take all of a batch or nothing.
            raise BatchRefused(index, NotForBestEffort(event.namespace.name, "batches"))
    first_of = _first_uses(events)
    indexes = [index for index, first in enumerate(first_of) if index == first]
    if not indexes:
        return []
    answers = dict(
        zip(indexes, _record([events[i] for i in indexes], events), strict=True)
    )
    written = [answer for answer in answers.values() if not answer.duplicate]
    after_commit(
        connection,
        {one.counter_id for one in written if one.counter_id},
        events=len(written),
    )
    return [
        answers[first]
        if first == index
        else Recorded(
            answers[first].counter_id,
            events[index].token.text,
            answers[first].event_time,
            duplicate=True,
        )
        for index, first in enumerate(first_of)
    ]


def _first_uses(events: Sequence[CheckedEvent]) -> list[int]:
    """Return for each event the index of the one in the batch that it repeats, or its own.

    A token without a time repeats any use before it; one with a time, the same time.
    """
    # The int, because a UUID is slow to hash.
    uses = [(event.namespace.pk, event.name, event.token.uuid.int) for event in events]
    if len(set(uses)) == len(uses):
        return list(range(len(uses)))
    first_of = []
    seen: dict[tuple[Any, ...], int] = {}
    for index, (event, use) in enumerate(zip(events, uses, strict=True)):
        any_first = seen.setdefault(use, index)
        first = seen.setdefault((*use, event.token.event_time), index)
        if event.untimed:
            first = any_first
        if events[first].delta != event.delta:
            conflict = TokenConflict(
                event.token.text, kept=events[first].delta, offered=event.delta
            )
            raise BatchRefused(index, conflict)
        first_of.append(first)
    return first_of


def _record(
    events: Sequence[CheckedEvent], batch: Sequence[CheckedEvent]
) -> list[Recorded]:
    """Record events of which none repeats another."""
    rows = _insert(events, batch)
    missing = [
        event
        for event, (counter_id, _) in zip(events, rows, strict=True)
        if not counter_id
    ]
    if missing:
        create_counters(connection, missing)
        rows = _insert(events, batch)
    # A timed repeat is the first event: its time is in its key, and the statement has
    # checked its delta. Only a token without a time must be looked up.
    lookups = [
        (event, counter_id)
        for event, (counter_id, is_new) in zip(events, rows, strict=True)
        if counter_id and event.untimed and not is_new
    ]
    first_times = iter(find_first_events(lookups))
    recorded = []
    for event, (counter_id, is_new) in zip(events, rows, strict=True):
        if not counter_id:
            unknown = CounterNotFound(event.namespace.name, event.name)
            raise BatchRefused(batch.index(event), unknown)
        event_time = event.event_time
        if event.untimed and not is_new:
            event_time, _ = next(first_times)
        recorded.append(
            Recorded(counter_id, event.token.text, event_time, duplicate=not is_new)
        )
    return recorded


def _insert(
    events: Sequence[CheckedEvent], batch: Sequence[CheckedEvent]
) -> list[tuple[int | None, bool]]:
    """Run the one statement; return counter id (None: unknown) and is-new of each event."""
    parameters: dict[str, Any] = {
        "namespace_ids": _array(str(event.namespace.pk) for event in events),
        "names": [event.name for event in events],
        "tokens": _array(event.token.uuid.hex for event in events),
        "event_times": _array(event.event_time.isoformat() for event in events),
        "deltas": _array(str(event.delta) for event in events),
        "accept_pasts": [
            event.namespace.accept_past if event.untimed else None for event in events
        ],
    }
    try:
        rows = see_repeats(
            connection,
            lambda: fetch(connection, "counters", "add_events", **parameters),
        )
    except DatabaseError as error:
        cause = error.__cause__
        if isinstance(cause, psycopg.Error) and cause.sqlstate == CONFLICT_SQLSTATE:
            raise _conflict(cause, batch) from error
        raise
    return [(counter_id, is_new) for counter_id, is_new in rows]


def _array(values: Iterable[str]) -> str:
    """Return an array as PostgreSQL reads it, of values that need no quotes.

    Psycopg looks each element of a list over for its type and for what is to be quoted:
    for numbers, UUIDs and times that was a seventh of a batch's time in Python.
    """
    return "{" + ",".join(values) + "}"


def _conflict(cause: psycopg.Error, batch: Sequence[CheckedEvent]) -> BatchRefused:
    """Find the event that the database refused: counters_check_repeat's detail names it.

    The detail is namespace id, token, kept delta, offered delta, and last the counter's
    name, which may hold spaces itself.
    """
    detail = cause.diag.message_detail or ""
    namespace_id, token, kept, offered, name = detail.split(" ", 4)
    refused = (namespace_id, token, offered, name)
    for index, event in enumerate(batch):
        key = (
            str(event.namespace.pk),
            str(event.token.uuid),
            str(event.delta),
            event.name,
        )
        if key == refused:
            conflict = TokenConflict(
                event.token.text, kept=int(kept), offered=event.delta
            )
            return BatchRefused(index, conflict)
    raise LookupError(
        f"the database refused an event that is not in the batch: {detail}"
    )
