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
from counters.recording.validation import CheckedEvent, TokenedEvent, UntokenedEvent

BATCH_EVENTS = 10_000
# What the SQL function counters_check_repeat raises.
CONFLICT_SQLSTATE = "CN409"
# An event and its index in the batch.
Tokened = tuple[int, TokenedEvent]


def add_all(events: Sequence[CheckedEvent]) -> list[Recorded]:
    """Record the events as if added one by one; return an answer for each, in order.

    Raises BatchRefused with the index of a conflicting event; then nothing was added, and
    inside the caller's `atomic()` the transaction is to be rolled back.
    """
    untokened: list[tuple[int, UntokenedEvent]] = []
    tokened: list[tuple[int, TokenedEvent]] = []
    for index, event in enumerate(events):
        if best_effort.applies_to(event.namespace):
            # A cache cannot add a batch atomically.
            raise BatchRefused(index, NotForBestEffort(event.namespace.name, "batches"))
        if isinstance(event, UntokenedEvent):
            untokened.append((index, event))
        else:
            tokened.append((index, event))
    answers: dict[int, Recorded] = {}
    if tokened and untokened:
        answers = retry_if_duplicate(connection, _record_both, tokened, untokened)
    elif tokened:
        answers = _record_tokened(tokened)
    elif untokened:
        answers = _record_untokened(untokened)
    recorded = [answers[index] for index in range(len(events))]
    written = [answer for answer in recorded if not answer.duplicate]
    after_commit(
        connection,
        {one.counter_id for one in written if one.counter_id},
        events=len(written),
    )
    return recorded


def _record_both(
    tokened: Sequence[Tokened], untokened: Sequence[tuple[int, UntokenedEvent]]
) -> dict[int, Recorded]:
    with own_transaction():
        return _record_tokened(tokened) | _record_untokened(untokened)


def _record_untokened(
    numbered: Sequence[tuple[int, UntokenedEvent]],
) -> dict[int, Recorded]:
    events = [event for _, event in numbered]
    parameters = {
        "namespace_ids": _array(str(event.namespace.pk) for event in events),
        "names": [event.name for event in events],
        "event_times": _array(
            "NULL" if event.event_time is None else event.event_time.isoformat()
            for event in events
        ),
        "deltas": _array(str(event.delta) for event in events),
    }
    rows = _insert_all(numbered, "add_events_without_tokens", parameters)
    return {
        index: Recorded(counter_id, None, event_time, duplicate=False)
        for (index, _), (counter_id, event_time) in zip(numbered, rows, strict=True)
    }


def _record_tokened(numbered: Sequence[Tokened]) -> dict[int, Recorded]:
    if len({_use(event) for _, event in numbered}) == len(numbered):
        recorded = _record(numbered)
    else:
        recorded = retry_if_duplicate(connection, _record_in_runs, numbered)
    return {index: one for (index, _), one in zip(numbered, recorded, strict=True)}


def _use(event: TokenedEvent) -> tuple[int, str, int]:
    """Return the counter and the token of an event."""
    # The int, because a UUID is slow to hash.
    return event.namespace.pk, event.name, event.token.uuid.int


def _record_in_runs(numbered: Sequence[Tokened]) -> list[Recorded]:
    """Record a batch in which one token is used more than once on a counter.

    An event without a time is a duplicate of an earlier event of its token with a time. A
    statement does not see what it writes itself, so such an event begins the next statement.
    """
    recorded: list[Recorded] = []
    with own_transaction():
        for run in _runs(numbered):
            recorded += _record_run(run)
    return recorded


def _runs(numbered: Sequence[Tokened]) -> Iterator[Sequence[Tokened]]:
    """Cut the batch so that no run uses a token both with and without a time."""
    begin = 0
    untimed_in_run: dict[tuple[int, str, int], bool] = {}
    # The place in this list: an index of the whole batch counts events without tokens too.
    for place, (_, event) in enumerate(numbered):
        use = _use(event)
        if untimed_in_run.setdefault(use, event.untimed) != event.untimed:
            yield numbered[begin:place]
            begin = place
            untimed_in_run = {use: event.untimed}
    yield numbered[begin:]


def _record_run(run: Sequence[Tokened]) -> list[Recorded]:
    """Record the first event of each token and time; the others are its duplicates."""
    firsts: dict[tuple[Any, ...], Tokened] = {}
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


def _record(numbered: Sequence[Tokened]) -> list[Recorded]:
    """Record events of which none is a duplicate of another."""
    events = [event for _, event in numbered]
    parameters = {
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
        rows = _insert_all(numbered, "add_events", parameters)
    except DatabaseError as error:
        cause = error.__cause__
        if isinstance(cause, psycopg.Error) and cause.sqlstate == CONFLICT_SQLSTATE:
            raise _conflict(cause, numbered) from error
        raise
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


def _insert_all(
    numbered: Sequence[tuple[int, CheckedEvent]],
    statement: str,
    parameters: dict[str, Any],
) -> list[tuple[int, Any]]:
    """Run the one statement; create missing counters. Return a row for each event.

    The statement writes nothing and returns no counter id for an event whose counter is missing.
    """
    for _ in range(MOST_TRIES):
        rows: list[Any] = retry_if_duplicate(
            connection, fetch, connection, "counters", statement, **parameters
        )
        missing = [
            one
            for one, (counter_id, _) in zip(numbered, rows, strict=True)
            if counter_id is None
        ]
        if not missing:
            return rows
        create_counters(connection, [event for _, event in missing])
    # The namespace was deleted, or the counter is deleted again and again.
    lookup.forget_all()
    index, event = missing[0]
    raise BatchRefused(index, CounterNotFound(event.namespace.name, event.name))


def _array(values: Iterable[str]) -> str:
    """Return an array as PostgreSQL reads it, of values that need no quotes.

    Psycopg checks the type and the quoting of each element of a list. For numbers, UUIDs and
    times this took a seventh of a batch's time in Python.
    """
    return "{" + ",".join(values) + "}"


def _conflict(cause: psycopg.Error, numbered: Sequence[Tokened]) -> BatchRefused:
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
