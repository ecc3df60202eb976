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
# Errors after which the same statement may succeed.
_PASSING = (CheckViolation, DeadlockDetected, SerializationFailure, UniqueViolation)
_MOST_DEADLOCKS = 5
_DEADLOCK_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Recorded:
    """The answer to an add: the event that counts, and whether it existed before.

    The token is None for an add without one. The counter id is 0 for a best-effort add, which
    writes nothing to the database.
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
    """Run `record`; run it again if another session at the same time made it fail.

    There are four such errors:

    - UniqueViolation: a past day's index is being rebuilt (REINDEX CONCURRENTLY), so there is a
      second index, which ON CONFLICT does not check. Two first uses of a token may both pass
      the first index. The later one fails at the second index after the other has committed.
      The retry finds the token. (A batch that meets two such tokens, one in each try, raises.)
    - CheckViolation: an event was on its way into the default partition while the partition of
      its day was attached. The retry writes to the new partition.
    - SerializationFailure: above READ COMMITTED, the token's first use was committed after the
      snapshot. The retry has a newer snapshot.
    - DeadlockDetected: two batches took their tokens in several steps (counters.recording.batch),
      and PostgreSQL ended one of them.

    There is no retry inside a transaction block, because the error has ended the block.
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
            # PostgreSQL gives the victim's locks to the waiting add. An immediate retry may take
            # the first of them before that add wakes up, and both would deadlock again.
            time.sleep(_DEADLOCK_PAUSE_SECONDS)


def answer_duplicate(event: TokenedEvent, counter_id: int) -> Recorded | None:
    """Return the first event of the token, or None if its counter was just deleted.

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

    Call it after the insert, as a statement of its own. The insert may have waited for the
    first event, which was then committed after the insert's snapshot.
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
    """Return the span of event times that contains the first event.

    For a token without a time it must equal the span in add_event_of_untimed_token.sql. If it
    were longer, an expired event could answer for a valid one.
    """
    if not event.untimed:
        return event.event_time, event.event_time
    return event.event_time - event.namespace.accept_past, END_OF_TIME


BATCH_ROWS = 10_000


def drop_expired(*, now: datetime | None = None, batch_rows: int = BATCH_ROWS) -> int:
    """Delete expired claims in short transactions; return how many."""
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
