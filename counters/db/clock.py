"""Tell the time by the database's clock, which all hosts share.

No host's clock decides what is accepted, closed, dropped or expired. A host whose clock runs
ahead would drop events that others still accept. A host whose clock runs behind would accept
events again that were dropped.
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
    """Return the database's time without a query: this host's clock, corrected.

    The two clocks are compared each time a namespace is read, so every REMEMBERED_SECONDS.
    """
    if _ahead is None:
        asked_at = datetime.now(UTC)
        compare(database_now(), asked_at=asked_at)
    return datetime.now(UTC) + (_ahead or timedelta(0))


def compare(database_at: datetime, *, asked_at: datetime) -> None:
    """Compare the clocks: the database's answer, and this host's time before the query.

    With the host's time before the query, `now` is too late by at most the query's duration.
    It is never too early; an accept window would then begin too early.
    """
    global _ahead
    _ahead = database_at - asked_at
