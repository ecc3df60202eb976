"""The database's clock: the one clock that all hosts share.

What is accepted, closed, dropped or expired is never decided by the clock of a host: one that
runs ahead would drop events that others still accept, and one that runs behind would accept
again what is dropped.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import DateTimeField, Func

# How far the database's clock is ahead of this host's, as last compared.
_ahead: timedelta | None = None


class DatabaseClock(Func):
    """The database's clock, in a query."""

    function = "clock_timestamp"
    arity = 0
    output_field = DateTimeField()


def database_now(*, using: str = DEFAULT_DB_ALIAS) -> datetime:
    """Ask the database for its time."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        [(now,)] = cursor.fetchall()
    at: datetime = now
    return at


def now() -> datetime:
    """Return the database's time without asking it: from this host's clock, put right.

    The two are compared each time a namespace is read, so every REMEMBERED_SECONDS.
    """
    if _ahead is None:
        asked_at = datetime.now(UTC)
        compare(database_now(), asked_at=asked_at)
    return datetime.now(UTC) + (_ahead or timedelta(0))


def compare(database_at: datetime, *, asked_at: datetime) -> None:
    """Learn how far apart the clocks are: what the database said, and when it was asked.

    With the host's time before the question, `now` is at most the answer's delay too late.
    Too early it never is: an accept window would begin too early.
    """
    global _ahead
    _ahead = database_at - asked_at
