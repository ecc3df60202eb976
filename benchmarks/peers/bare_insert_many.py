"""The limit for batches: the same table, 1,000 rows from arrays in one statement."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from django.db import connection

from benchmarks.peers import bare_insert
from benchmarks.peers.bare_insert import _cursors

TITLE = "the limit: bare INSERT of arrays, batches of 1,000"
STEP_EVENTS = 1_000
WITH_WORKER = False
setup = bare_insert.setup


def step() -> None:
    if not _cursors:
        connection.ensure_connection()
        _cursors.append(connection.connection.cursor())
    now = datetime.now(UTC)
    _cursors[0].execute(
        "INSERT INTO bench_log SELECT * FROM unnest"
        "(%s::bigint[], %s::uuid[], %s::timestamptz[], %s::bigint[])",
        [
            list(range(STEP_EVENTS)),
            [uuid4() for _ in range(STEP_EVENTS)],
            [now] * STEP_EVENTS,
            [1] * STEP_EVENTS,
        ],
        prepare=True,
    )
