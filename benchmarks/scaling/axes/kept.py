"""Events kept: one counter each with a thousand to ten million of them.

Each has a partition to itself, so that its indexes are as deep as its own events make
them, and all can be measured in turns.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from typing import Any

from benchmarks.scaling import buffers, filling
from benchmarks.scaling.points import Axis, Plan, Point, Series, in_turns, typical_us

AXIS = Axis(
    name="kept",
    title="Events kept of one counter",
    grows="events kept",
    series=(
        Series("eventual_us", "eventual read", "µs"),
        Series("accurate_us", "accurate read, 1,000 pending", "µs"),
        Series("fold_us", "fold of 1,000 new events", "µs"),
        Series("eventual_pages", "eventual read", "pages"),
        Series("accurate_pages", "accurate read", "pages"),
        Series("fold_pages", "fold, its summing statement", "pages"),
    ),
    plots=(
        ("eventual_us", "accurate_us", "fold_us"),
        ("eventual_pages", "accurate_pages", "fold_pages"),
    ),
)
KEPT = [10**n for n in range(3, 8)]
NEW_EVENTS = 1_000
NAMESPACE = "SELECT id FROM counters_namespace WHERE name = 'bench'"
DROP_NEW = "DELETE FROM counters_event WHERE counter_id = %s AND xid >= %s::text::xid8"


def measure(plan: Plan) -> list[Point]:
    kept = plan.sizes(KEPT, quick=100_000)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    # The partitions that there are from the start begin two days ago.
    days = {size: midnight + timedelta(days=i - 2) for i, size in enumerate(kept)}
    folding: Any = import_module("rollups.folding.fold")
    counter_ids = {size: filling.add_counter(f"kept {size}") for size in kept}
    for size in kept:
        plan.say(f"keep {size:,} events")
        filling.add_events(
            counter_ids[size], size, since=days[size], span=timedelta(hours=20)
        )
        # More than it takes at once where its events took long to write.
        while folding.fold([counter_ids[size]]).partly:
            pass
    filling.execute("VACUUM ANALYZE")
    return in_turns(kept, lambda size: _turn(size, counter_ids[size], days[size]), plan)


def _turn(size: int, counter_id: int, day: datetime) -> dict[str, float]:
    folding: Any = import_module("rollups.folding.fold")
    reading: Any = import_module("rollups.counts")
    read = partial(reading.get, namespace="bench", name=f"kept {size}")
    [(namespace_id,)] = filling.execute(NAMESPACE)
    named = {"namespace_id": namespace_id, "name": f"kept {size}"}
    found: dict[str, float] = {}
    [(xid,)] = filling.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    new_at = day + timedelta(hours=21)
    filling.add_events(counter_id, NEW_EVENTS, since=new_at, span=timedelta(minutes=1))
    found["accurate_us"] = typical_us(partial(read, accuracy="accurate"), 50)
    found["accurate_pages"] = buffers.touched("rollups", "read_accurate", **named)
    found["fold_pages"] = buffers.touched(
        "rollups", "fold_events", counter_ids=[counter_id]
    )
    began = time.perf_counter()
    folded = folding.fold([counter_id])
    found["fold_us"] = (time.perf_counter() - began) * 1e6
    assert folded.events == NEW_EVENTS, folded  # noqa: S101
    found["eventual_us"] = typical_us(partial(read, accuracy="eventual"), 200)
    found["eventual_pages"] = buffers.touched("rollups", "read_eventual", **named)
    # As many are kept at the next turn.
    filling.execute(DROP_NEW, [counter_id, xid])
    return found
