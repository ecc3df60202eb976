"""The usual advice for hot rows: 16 rows a counter, a random one updated each time."""

from __future__ import annotations

import random

from django.db import connection

TITLE = "16 slotted rows"
STEP_EVENTS = 1
BESIDE = ()
SLOTS = 16


def setup(counters: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS bench_slot (counter_id bigint, slot int,"
            " total bigint NOT NULL, PRIMARY KEY (counter_id, slot)) WITH (fillfactor = 50)"
        )
        cursor.execute(
            "INSERT INTO bench_slot SELECT id, slot, 0"
            " FROM generate_series(0, %s - 1) AS id, generate_series(0, %s) AS slot"
            " ON CONFLICT DO NOTHING",
            [counters, SLOTS - 1],
        )


def step(key: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE bench_slot SET total = total + 1"
            " WHERE counter_id = %s AND slot = %s RETURNING total",
            [key, random.randrange(SLOTS)],
        )
        cursor.fetchone()
