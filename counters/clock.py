"""The database's clock: the one clock that all hosts share."""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def database_now() -> datetime:
    """Return the time of the database's clock.

    What is closed, dropped or expired is never decided by the clock of the host: one that
    runs ahead would do it too early.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        [(now,)] = cursor.fetchall()
    at: datetime = now
    return at
