"""The limit for batches: the same table, 1,000 rows from arrays in one statement."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from benchmarks.peers import bare_insert

TITLE = "the limit: INSERT of arrays, 1,000 each"
STEP_EVENTS = 1_000
BESIDE = ()
INSERT = (
    "INSERT INTO bench_log SELECT * FROM unnest"
    "(%s::bigint[], %s::uuid[], %s::timestamptz[], %s::bigint[])"
)
setup = bare_insert.setup


def step(key: int) -> None:
    now = datetime.now(UTC)
    arrays = [
        list(range(STEP_EVENTS)),
        [uuid4() for _ in range(STEP_EVENTS)],
        [now] * STEP_EVENTS,
        [1] * STEP_EVENTS,
    ]
    bare_insert.bare_cursor().execute(INSERT, arrays, prepare=True)
