"""Counting in PostgreSQL: this project, the usual updates, and the limit."""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from django.db import connection, transaction
from django.db.models import F

from benchmarks.data import create_counters
from benchmarks.peers import Way
from benchmarks.plain.models import PlainCounter, create_table
from counters import events

BATCH = 1_000
REQUEST_SECONDS = 0.005
SLOTS = 16
LOG = """
CREATE TABLE IF NOT EXISTS bench_log (
  counter_id bigint NOT NULL, token uuid NOT NULL, at timestamptz NOT NULL,
  delta bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS bench_log_at ON bench_log (counter_id, at)
"""
INSERT = "INSERT INTO bench_log VALUES (%s, gen_random_uuid(), now(), 1)"
INSERT_MANY = (
    "INSERT INTO bench_log SELECT * FROM unnest"
    "(%s::bigint[], %s::uuid[], %s::timestamptz[], %s::bigint[])"
)
SLOT_TABLE = """
CREATE TABLE IF NOT EXISTS bench_slot (
  counter_id bigint, slot int, total bigint NOT NULL, PRIMARY KEY (counter_id, slot)
) WITH (fillfactor = 50)
"""
FILL_SLOTS = """
INSERT INTO bench_slot SELECT id, slot, 0
FROM generate_series(0, %s - 1) AS id, generate_series(0, %s) AS slot
ON CONFLICT DO NOTHING
"""
UPDATE_SLOT = (
    "UPDATE bench_slot SET total = total + 1"
    " WHERE counter_id = %s AND slot = %s RETURNING total"
)
_own = threading.local()


def add(key: int) -> None:
    events.add(namespace="bench", name=f"c{key}")


def add_in_request(key: int) -> None:
    """Add in a request's transaction that takes 5 ms more after the add."""
    with transaction.atomic():
        add(key)
        time.sleep(REQUEST_SECONDS)


def add_many(key: int) -> None:
    events.add_many([events.NewEvent("bench", f"c{i}") for i in range(BATCH)])


def update_f(key: int) -> None:
    PlainCounter._default_manager.filter(name=f"c{key}").update(total=F("total") + 1)


def update_f_in_request(key: int) -> None:
    with transaction.atomic():
        update_f(key)
        time.sleep(REQUEST_SECONDS)


def create_slots(counters: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SLOT_TABLE)
        cursor.execute(FILL_SLOTS, [counters, SLOTS - 1])


def slots(key: int) -> None:
    """Update a random one of the counter's 16 rows: the usual advice for hot rows."""
    with connection.cursor() as cursor:
        cursor.execute(UPDATE_SLOT, [key, random.randrange(SLOTS)])
        cursor.fetchone()


def create_log(counters: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(LOG)


def bare_insert(key: int) -> None:
    """Insert a row into a bare log with one index: no token check, no name, no fold."""
    bare_cursor().execute(INSERT, [key], prepare=True)


def bare_insert_many(key: int) -> None:
    now = datetime.now(UTC)
    arrays = [
        list(range(BATCH)),
        [uuid4() for _ in range(BATCH)],
        [now] * BATCH,
        [1] * BATCH,
    ]
    bare_cursor().execute(INSERT_MANY, arrays, prepare=True)


def bare_cursor() -> Any:
    """Return the driver's cursor of this thread, always the same one."""
    if (cursor := getattr(_own, "cursor", None)) is None or cursor.connection.closed:
        connection.ensure_connection()
        cursor = _own.cursor = connection.connection.cursor()
    return cursor


def _create_batch_counters(counters: int) -> None:
    create_counters(max(counters, BATCH))


WAYS = {
    "add": Way(
        title="add (this project)",
        setup=create_counters,
        step=add,
        programs=("worker",),
    ),
    "add_in_request": Way(
        title="add (this project), 5 ms transaction",
        setup=create_counters,
        step=add_in_request,
        programs=("worker",),
    ),
    "add_many": Way(
        title="add_many (this project), 1,000 each",
        setup=_create_batch_counters,
        step=add_many,
        step_events=BATCH,
        programs=("worker",),
    ),
    "update_f": Way(
        title='update(total=F("total") + 1)', setup=create_table, step=update_f
    ),
    "update_f_in_request": Way(
        title="F update, 5 ms transaction",
        setup=create_table,
        step=update_f_in_request,
    ),
    "slots": Way(title="16 slotted rows", setup=create_slots, step=slots),
    "bare_insert": Way(
        title="the limit: bare INSERT", setup=create_log, step=bare_insert
    ),
    "bare_insert_many": Way(
        title="the limit: INSERT of arrays, 1,000 each",
        setup=create_log,
        step=bare_insert_many,
        step_events=BATCH,
    ),
}
