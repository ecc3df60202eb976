"""Counting in PostgreSQL: this project, the usual updates, and the limit."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.db import connection, transaction
from django.db.models import F

from benchmarks.data import create_counters
from benchmarks.peers import Way
from benchmarks.plain.models import PlainCounter, create_table
from benchmarks.servers import connect
from counters import events

BATCH = 1_000
REQUEST_SECONDS = 0.005
SLOTS = 16
LOG = """
CREATE TABLE IF NOT EXISTS bench_log (
  counter_id bigint NOT NULL, at timestamptz NOT NULL, delta bigint NOT NULL, token uuid
);
CREATE INDEX IF NOT EXISTS bench_log_at ON bench_log (counter_id, at)
"""
INSERT = "INSERT INTO bench_log VALUES (%s, now(), %s)"
INSERT_MANY = (
    "INSERT INTO bench_log SELECT counter_id, now(), delta"
    " FROM unnest(%s::bigint[], %s::bigint[]) AS given (counter_id, delta)"
)
INSERT_MANY_WITH_TOKENS = (
    "INSERT INTO bench_log SELECT counter_id, now(), delta, token"
    " FROM unnest(%s::bigint[], %s::bigint[], %s::uuid[])"
    " AS given (counter_id, delta, token)"
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
    "UPDATE bench_slot SET total = total + 1 WHERE counter_id = %s AND slot = %s"
)
_own = threading.local()


def add(key: int) -> None:
    events.add(namespace="bench", name=f"c{key}")


def add_with_token(key: int) -> None:
    events.add(namespace="bench", name=f"c{key}", token=uuid4())


def add_in_request(key: int) -> None:
    """Add in a request's transaction that takes 5 ms more after the add."""
    with transaction.atomic():
        add(key)
        time.sleep(REQUEST_SECONDS)


def add_many(key: int) -> None:
    events.add_many([events.NewEvent("bench", f"c{i}") for i in range(BATCH)])


def add_many_with_tokens(key: int) -> None:
    events.add_many(
        [events.NewEvent("bench", f"c{i}", token=uuid4()) for i in range(BATCH)]
    )


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
    bare_cursor().execute(UPDATE_SLOT, [key, random.randrange(SLOTS)], prepare=True)


def create_log(counters: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(LOG)


def bare_insert(key: int) -> None:
    """Insert a row into a bare log with one index: no token, no name, no fold."""
    bare_cursor().execute(INSERT, [key, 1], prepare=True)


def bare_insert_many(key: int) -> None:
    arrays = [list(range(BATCH)), [1] * BATCH]
    bare_cursor().execute(INSERT_MANY, arrays, prepare=True)


def bare_insert_many_with_tokens(key: int) -> None:
    arrays = [list(range(BATCH)), [1] * BATCH, [uuid4() for _ in range(BATCH)]]
    bare_cursor().execute(INSERT_MANY_WITH_TOKENS, arrays, prepare=True)


def bare_cursor() -> Any:
    """Return this thread's cursor, on a connection of psycopg without Django's."""
    if not hasattr(_own, "cursor"):
        _own.cursor = connect().cursor()
    return _own.cursor


def create_for_batches(counters: int) -> None:
    create_counters(max(counters, BATCH))


def _ours(title: str, step: Callable[[int], object], step_events: int = 1) -> Way:
    return Way(
        title=title,
        setup=create_for_batches,
        step=step,
        step_events=step_events,
        programs=("worker",),
    )


WAYS = {
    "add": _ours("add (this project)", add),
    "add_with_token": _ours("add with a token (this project)", add_with_token),
    "add_in_request": _ours("add (this project), 5 ms transaction", add_in_request),
    "add_many": _ours("add_many (this project), 1,000 each", add_many, BATCH),
    "add_many_with_tokens": _ours(
        "add_many with tokens (this project), 1,000 each", add_many_with_tokens, BATCH
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
    "bare_insert_many_with_tokens": Way(
        title="the limit: INSERT of arrays with tokens, 1,000 each",
        setup=create_log,
        step=bare_insert_many_with_tokens,
        step_events=BATCH,
    ),
}
