"""A fold of 200,000 events of one counter, and of one event in each of 500 counters."""

from __future__ import annotations

import time

from django.db import connection

from benchmarks.profile import backends
from benchmarks.profile.local import profile
from counters import events
from rollups.folding import fold

EVENTS, COUNTERS = 200_000, 500
APPEND = """
INSERT INTO counters_event (counter_id, token, event_time, delta)
SELECT %s, gen_random_uuid(), now(), 1 FROM generate_series(1, %s)
"""


def show(seconds: float) -> None:
    hits = events.add(namespace="bench", name="hits").counter_id
    took = [_fold_many(hits) for _ in range(max(3, round(seconds / 2)))]
    print(
        f"a fold of {EVENTS:,} events of one counter: {EVENTS / min(took):,.0f} events/s"
    )
    batch = [events.NewEvent("bench", f"c{i}") for i in range(COUNTERS)]
    counter_ids = [one.counter_id for one in events.add_many(batch)]

    def step() -> None:
        events.add_many(batch)
        fold.fold(counter_ids)

    profile(
        f"A batch of {COUNTERS} counters, and its fold; of each event",
        step,
        seconds=seconds,
        events=COUNTERS,
    )
    events.add_many(batch)
    backends.show_plan("rollups", "fold_events", {"counter_ids": counter_ids})
    backends.show_tables()


def _fold_many(counter_id: int) -> float:
    with connection.cursor() as cursor:
        cursor.execute(APPEND, [counter_id, EVENTS])
        cursor.execute("VACUUM ANALYZE counters_event")
    events.add(namespace="bench", name="hits")
    began = time.perf_counter()
    fold.fold([counter_id])
    return time.perf_counter() - began
