"""Waiting for another transaction to wait: how two are put in order without a sleep."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import connection

TIMEOUT_SECONDS = 30


def wait_until_somebody_waits_for_a_lock(
    *, waiting: int = 1, kind: str | None = None, table: str | None = None
) -> None:
    """Return once PostgreSQL says that so many connections are blocked.

    `kind` is a `locktype` of pg_locks, `table` the name of the table that they wait for; None is
    any.
    """
    deadline = datetime.now(UTC).timestamp() + TIMEOUT_SECONDS
    with connection.cursor() as cursor:
        while datetime.now(UTC).timestamp() < deadline:
            # Not pg_stat_activity: a transaction sees its first look at it for ever.
            cursor.execute(
                "SELECT count(*) FROM pg_locks"
                " WHERE NOT granted AND locktype = coalesce(%s, locktype)"
                " AND (%s::text IS NULL OR relation = %s::text::regclass)",
                [kind, table, table],
            )
            if cursor.fetchone()[0] >= waiting:
                return
    raise TimeoutError(f"fewer than {waiting} waited for a lock")
