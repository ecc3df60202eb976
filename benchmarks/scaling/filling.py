"""Events and counters, many at once: what the measured operations find."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from typing import Any, LiteralString

import psycopg

from benchmarks.ground import COUNTERS, patient_connection

EVENTS = """
INSERT INTO counters_event (counter_id, token, event_time, delta)
SELECT %s, gen_random_uuid(), %s::timestamptz + random() * %s::interval, 1
FROM generate_series(1, %s)
"""
EVENTS_OF_MANY = """
INSERT INTO counters_event (counter_id, token, event_time, delta)
SELECT counter_id, gen_random_uuid(), now(), 1
FROM unnest(%s::bigint[]) AS counter_id, generate_series(1, %s)
"""
LAST_WRITES = """
INSERT INTO counters_lastwrite
  (counter_id, slot, written_at, pending_since, oldest_event_time, newest_event_time)
SELECT counter_id, 1, clock_timestamp(), clock_timestamp(), %s, %s
FROM unnest(%s::bigint[]) AS counter_id
"""
ROLLUPS = """
INSERT INTO rollups_rollup
  (counter_id, namespace_id, total, watermark, watermark_at, last_write_at)
SELECT id, namespace_id, id, pg_current_snapshot(), now(), now() FROM counters_counter
ON CONFLICT DO NOTHING
"""
MOMENT = timedelta(seconds=1)


def execute(statement: LiteralString, parameters: Sequence[Any] = ()) -> list[Any]:
    """Run a statement, however long it takes; return its rows."""
    with _connection().cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return list(cursor.fetchall()) if cursor.description else []


@cache
def _connection() -> psycopg.Connection:
    # Kept: to connect would be counted with what is measured.
    return patient_connection()


def add_counter(name: str) -> int:
    """Make a counter, with a rollup and nothing pending; return its id."""
    recording: Any = import_module("counters.events")
    folding: Any = import_module("rollups.folding.fold")
    counter_id = int(recording.add(namespace="bench", name=name).counter_id)
    folding.fold([counter_id])
    return counter_id


def create_counters(counters: int) -> list[int]:
    """Make `c0`, `c1`, ..., each with a rollup and nothing pending; return all ids."""
    execute(COUNTERS, [counters])
    execute(ROLLUPS)
    execute("VACUUM ANALYZE counters_counter, rollups_rollup")
    return [row[0] for row in execute("SELECT id FROM counters_counter ORDER BY id")]


def add_events(
    counter_id: int, events: int, *, since: datetime, span: timedelta
) -> None:
    """Append events of one counter, pending, with event times spread over a span."""
    with _connection().transaction():
        execute(EVENTS, [counter_id, since, span, events])
        execute(LAST_WRITES, [since, since + span, [counter_id]])


def add_events_of_many(counter_ids: Sequence[int], events: int) -> None:
    """Append some events to each of the counters; all are pending."""
    now = datetime.now(UTC)
    with _connection().transaction():
        execute(EVENTS_OF_MANY, [list(counter_ids), events])
        execute(LAST_WRITES, [now - MOMENT, now + 60 * MOMENT, list(counter_ids)])
