"""The limit: psycopg alone, one prepared single-row INSERT into a bare log table."""

from __future__ import annotations

from typing import Any

from django.db import connection

TITLE = "the limit: bare INSERT, prepared, one index"
STEP_EVENTS = 1
WITH_WORKER = False
_cursors: list[Any] = []


def setup() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS bench_log (counter_id bigint NOT NULL,"
            " token uuid NOT NULL, at timestamptz NOT NULL, delta bigint NOT NULL)"
        )
        cursor.execute(
            "CREATE INDEX IF NOT EXISTS bench_log_at ON bench_log (counter_id, at)"
        )


def step() -> None:
    if not _cursors:
        connection.ensure_connection()
        _cursors.append(connection.connection.cursor())
    _cursors[0].execute(
        "INSERT INTO bench_log VALUES (1, gen_random_uuid(), now(), 1)", prepare=True
    )
