"""Answer duplicates with the first event of their token."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

from django.db import IntegrityError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.errors import (
    CheckViolation,
    DeadlockDetected,
    SerializationFailure,
    UniqueViolation,
)

from counters.db import clock
from counters.db.statements import affect, fetch
from counters.errors import TokenConflict
from counters.recording.validation import TokenedEvent

Given = ParamSpec("Given")
Rows = TypeVar("Rows")
END_OF_TIME = datetime.max.replace(tzinfo=UTC)
# Errors that may not occur again in another try of the same statement.
_PASSING = (CheckViolation, DeadlockDetected, SerializationFailure, UniqueViolation)
_MOST_DEADLOCKS = 5
_DEADLOCK_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Recorded:
    """The answer to an add: the event that counts, and whether it existed before.

    The token is None for an add without one. The id 0 is that of a best-effort add: nothing
    durable was made.
    """

    counter_id: int
    token: str | None
    event_time: datetime
    duplicate: bool


def retry_if_duplicate(
    connection: BaseDatabaseWrapper,
    record: Callable[Given, Rows],
    *args: Given.args,
    **parameters: Given.kwargs,
) -> Rows:
    """Run `record`; run it again if another add at the same time made it fail.

    ON CONFLICT asks the key's own index only. There is a second index while it is
    rebuilt (REINDEX CONCURRENTLY of a past day). Of
    two first uses of a token at the same moment both may find the key free, and one comes to
    the second index too late. It fails when the other has committed, so its next try finds
    the key taken. (A batch that meets two such tokens, one on each try, raises.) And an event
    that was on its way into the default partition while the one of its day was attached fails
    a check there; its next try finds that. Under a default isolation level above READ
    COMMITTED, an add fails if the token's first use was committed after its snapshot. Two
    batches that take their tokens in several steps (see counters.recording.batch) may deadlock, and
    PostgreSQL ends one of them. Within a transaction block there is no next try: the error has
    ended the block.
    """
    tries = 1
    while True:
        try:
            return record(*args, **parameters)
        except (IntegrityError, OperationalError) as error:
            cause = error.__cause__
            in_block = connection.in_atomic_block or not connection.get_autocommit()
            if in_block or not isinstance(cause, _PASSING):
                raise
            deadlocked = isinstance(cause, DeadlockDetected)
            if tries == (_MOST_DEADLOCKS if deadlocked else 2):
                raise
        tries += 1
        if deadlocked:
            # The victim's locks go to the add that waits for them. An immediate next try may
            # take the first of them again before that add wakes up, and the two deadlock again.
            time.sleep(_DEADLOCK_PAUSE_SECONDS)


def answer_duplicate(event: TokenedEvent, counter_id: int) -> Recorded | None:
    """Return the first event of the token; None if its counter has been deleted meanwhile.

    Raises TokenConflict for another delta.
    """
    [(event_time, delta)] = find_first_events([(event, counter_id)])
    if event_time is None or delta is None:
        return None
    if delta != event.delta:
        raise TokenConflict(event.token.text, kept=delta, offered=event.delta)
    return Recorded(counter_id, event.token.text, event_time, duplicate=True)


def find_first_events(
    repeats: Sequence[tuple[TokenedEvent, int]],
) -> list[tuple[datetime | None, int | None]]:
    """Return event time and delta of the first event of each (event, counter id), in order.

    Both are None if the event was deleted with its counter.

    To be called after the insert, as a statement of its own: the first event may have
    been committed while the insert waited for it, after the insert's snapshot was taken.
    """
    if not repeats:
        return []
    sinces, untils = zip(*(_where_to_look(event) for event, _ in repeats), strict=True)
    found = fetch(
        connection,
        "counters",
        "find_first_events",
        counter_ids=[counter_id for _, counter_id in repeats],
        tokens=[event.token.uuid for event, _ in repeats],
        sinces=list(sinces),
        untils=list(untils),
        used_ats=[event.event_time if event.untimed else None for event, _ in repeats],
    )
    return [(event_time, delta) for event_time, delta in found]


def _where_to_look(event: TokenedEvent) -> tuple[datetime, datetime]:
    """Return the span of event times in which the first event lies.

    For a token without a time, what add_event_of_untimed_token.sql takes for a first use:
    if it were longer, an expired use would answer for a valid one.
    """
    if not event.untimed:
        return event.event_time, event.event_time
    return event.event_time - event.namespace.accept_past, END_OF_TIME


BATCH_ROWS = 10_000


def drop_expired(*, now: datetime | None = None, batch_rows: int = BATCH_ROWS) -> int:
    """Drop expired claims in short transactions; return how many."""
    now = now or clock.database_now()
    dropped = 0
    while True:
        rows = affect(
            connection,
            "counters",
            "drop_expired_claims",
            now=now,
            batch_rows=batch_rows,
        )
        dropped += rows
        if rows < batch_rows:
            return dropped
