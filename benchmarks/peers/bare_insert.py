"""The limit: psycopg alone, one prepared single-row INSERT into a bare log table.

The table has one index. Nothing is told twice from once, no counter is marked as pending,
nothing is folded: what is left of an add when all that makes it a counter is taken away.
"""

from __future__ import annotations

from typing import Any

from django.db import connection

TITLE = "the limit: bare INSERT"
STEP_EVENTS = 1
BESIDE = ()
INSERT = "INSERT INTO bench_log VALUES (%s, gen_random_uuid(), now(), 1)"
_cursors: list[Any] = []


def setup(counters: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS bench_log (counter_id bigint NOT NULL,"
            " token uuid NOT NULL, at timestamptz NOT NULL, delta bigint NOT NULL)"
        )
        cursor.execute(
            "CREATE INDEX IF NOT EXISTS bench_log_at ON bench_log (counter_id, at)"
        )


def step(key: int) -> None:
    bare_cursor().execute(INSERT, [key], prepare=True)


def bare_cursor() -> Any:
    """Return psycopg's own cursor, the same one each time."""
    if not _cursors:
        connection.ensure_connection()
        _cursors.append(connection.connection.cursor())
    return _cursors[0]
