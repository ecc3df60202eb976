"""Record a batch of events, all or none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import psycopg
from django.db import DatabaseError, connection

from counters.db.statements import fetch
from counters.db.transactions import own_transaction
from counters.errors import (
    BatchRefused,
    CounterNotFound,
    NotForBestEffort,
    TokenConflict,
)
from counters.namespaces import best_effort, lookup
from counters.recording.duplicates import (
    Recorded,
    find_first_events,
    retry_if_duplicate,
)
from counters.recording.new_counters import MOST_TRIES, create_counters
from counters.recording.record import after_commit
from counters.recording.tokens import EPOCH
from counters.recording.validation import CheckedEvent

BATCH_EVENTS = 10_000
# What the SQL function counters_check_repeat raises.
CONFLICT_SQLSTATE = "CN409"
# An event and its index in the batch.
Numbered = tuple[int, CheckedEvent]


def add_all(events: Sequence[CheckedEvent]) -> list[Recorded]:
    """Record the events as if added one by one; return an answer for each, in order.

    Raises BatchRefused with the index of a conflicting event; then nothing was added, and
    inside the caller's `atomic()` the transaction is to be rolled back.
    """
    for index, event in enumerate(events):
        if best_effort.applies_to(event.namespace):
            # A cache cannot add a batch atomically.
            raise BatchRefused(index, NotForBestEffort(event.namespace.name, "batches"))
    if not events:
        return []
    numbered = list(enumerate(events))
    if len({_use(event) for event in events}) == len(events):
        recorded = _record(numbered)
    else:
        recorded = retry_if_duplicate(connection, lambda: _record_in_runs(numbered))
    written = [answer for answer in recorded if not answer.duplicate]
    after_commit(
        connection,
        {one.counter_id for one in written if one.counter_id},
        events=len(written),
    )
    return recorded


def _use(event: CheckedEvent) -> tuple[int, str, int]:
    """Return the counter and the token of an event."""
    # The int, because a UUID is slow to hash.
    return event.namespace.pk, event.name, event.token.uuid.int


def _record_in_runs(numbered: Sequence[Numbered]) -> list[Recorded]:
    """Record a batch in which one token is used more than once on a counter.

    An event without a time is a duplicate of an earlier event of its token with a time. A
    statement does not see what it writes itself, so such an event begins the next statement.
    """
    recorded: list[Recorded] = []
    with own_transaction():
        for run in _runs(numbered):
            recorded += _record_run(run)
    return recorded


def _runs(numbered: Sequence[Numbered]) -> Iterator[Sequence[Numbered]]:
    """Cut the batch so that no run uses a token both with and without a time."""
    begin = 0
    untimed_in_run: dict[tuple[int, str, int], bool] = {}
    for index, event in numbered:
        use = _use(event)
        if untimed_in_run.setdefault(use, event.untimed) != event.untimed:
            yield numbered[begin:index]
            begin = index
            untimed_in_run = {use: event.untimed}
    yield numbered[begin:]


def _record_run(run: Sequence[Numbered]) -> list[Recorded]:
    """Record the first event of each token and time; the others are its duplicates."""
    firsts: dict[tuple[Any, ...], Numbered] = {}
    for index, event in run:
        firsts.setdefault((*_use(event), event.token.event_time), (index, event))
    # Record the first uses before comparing the duplicates with them: where the database
    # refuses a first use, a later one with another delta may be the right one.
    answers = dict(zip(firsts, _record(list(firsts.values())), strict=True))
    recorded = []
    for index, event in run:
        key = (*_use(event), event.token.event_time)
        first_index, first = firsts[key]
        if event.delta != first.delta:
            conflict = TokenConflict(
                event.token.text, kept=first.delta, offered=event.delta
            )
            raise BatchRefused(index, conflict)
        answer = answers[key]
        if index != first_index:
            answer = Recorded(
                answer.counter_id, event.token.text, answer.event_time, duplicate=True
            )
        recorded.append(answer)
    return recorded


def _record(numbered: Sequence[Numbered]) -> list[Recorded]:
    """Record events of which none is a duplicate of another."""
    events = [event for _, event in numbered]
    for _ in range(MOST_TRIES):
        try:
            rows = _insert(events)
        except DatabaseError as error:
            cause = error.__cause__
            if isinstance(cause, psycopg.Error) and cause.sqlstate == CONFLICT_SQLSTATE:
                raise _conflict(cause, numbered) from error
            raise
        missing = [
            one
            for one, (counter_id, _) in zip(numbered, rows, strict=True)
            if not counter_id
        ]
        if not missing:
            break
        create_counters(connection, [event for _, event in missing])
    else:
        # The namespace was deleted, or the counter is deleted again and again.
        lookup.forget_all()
        index, event = missing[0]
        raise BatchRefused(index, CounterNotFound(event.namespace.name, event.name))
    # A timed repeat is the first event: its time is in its key, and the statement has
    # checked its delta. Only a token without a time must be looked up.
    lookups = [
        (event, counter_id)
        for event, (counter_id, is_new) in zip(events, rows, strict=True)
        if event.untimed and not is_new
    ]
    first_times = iter(find_first_events(lookups))
    recorded = []
    for event, (counter_id, is_new) in zip(events, rows, strict=True):
        event_time = event.event_time
        if event.untimed and not is_new:
            first_time, _ = next(first_times)
            # None: the first use was deleted with its counter after the statement saw it.
            event_time = first_time or event_time
        recorded.append(
            Recorded(counter_id, event.token.text, event_time, duplicate=not is_new)
        )
    return recorded


def _insert(events: Sequence[CheckedEvent]) -> list[tuple[int, bool]]:
    """Run the one statement; return counter id (0: unknown) and is-new of each event."""
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
    rows = retry_if_duplicate(
        connection,
        lambda: fetch(connection, "counters", "add_events", **parameters),
    )
    return [(counter_id or 0, is_new) for counter_id, is_new in rows]


def _array(values: Iterable[str]) -> str:
    """Return an array as PostgreSQL reads it, of values that need no quotes.

    Psycopg checks the type and the quoting of each element of a list. For numbers, UUIDs and
    times this took a seventh of a batch's time in Python.
    """
    return "{" + ",".join(values) + "}"


def _conflict(cause: psycopg.Error, numbered: Sequence[Numbered]) -> BatchRefused:
    """Find the event that the database refused: counters_check_repeat's detail names it.

    The detail is namespace id, token, event time (microseconds since 1970), kept delta,
    offered delta, and the counter's name. The name is last because it may contain spaces.
    No two events of one statement have all of these in common.
    """
    detail = cause.diag.message_detail or ""
    namespace_id, token, event_time, kept, offered, name = detail.split(" ", 5)
    refused = (namespace_id, token, event_time, offered, name)
    for index, event in numbered:
        key = (
            str(event.namespace.pk),
            str(event.token.uuid),
            str((event.event_time - EPOCH) // timedelta(microseconds=1)),
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
