"""Pending events of one counter, from one to a million."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from typing import Any

from benchmarks.scaling import filling
from benchmarks.scaling.points import Axis, Plan, Point, Series, in_turns, typical_us

AXIS = Axis(
    name="pending",
    title="Events pending of one counter",
    grows="pending events",
    series=(
        Series("accurate_us", "accurate read", "µs"),
        Series("fold_us", "fold of them all", "µs"),
        Series("events_per_second", "folded", "events/s"),
    ),
    plots=(("accurate_us", "fold_us"), ("events_per_second",)),
)
PENDING = [10**n for n in range(7)]
SPAN = timedelta(minutes=1)


def measure(plan: Plan) -> list[Point]:
    settings: Any = import_module("django.conf").settings
    # One fold takes them all, however long it took to write them.
    settings.ROLLUPS_FOLD_IN_PARTS_AFTER_SECONDS = 3600
    pending = plan.sizes(PENDING, quick=100_000)
    counter_ids = {size: filling.add_counter(f"pending {size}") for size in pending}
    # What the planner knows is then of a table in use, as autovacuum would see to it.
    first = counter_ids[pending[0]]
    filling.add_events(first, 100_000, since=datetime.now(UTC) - SPAN, span=SPAN)
    folding: Any = import_module("rollups.folding.fold")
    folding.fold([first])
    filling.execute("VACUUM ANALYZE")
    return in_turns(pending, lambda size: _turn(size, counter_ids[size]), plan)


def _turn(size: int, counter_id: int) -> dict[str, float]:
    folding: Any = import_module("rollups.folding.fold")
    reading: Any = import_module("rollups.counts")
    filling.add_events(counter_id, size, since=datetime.now(UTC) - SPAN, span=SPAN)
    read = partial(
        reading.get, namespace="bench", name=f"pending {size}", accuracy="accurate"
    )
    accurate_us = typical_us(read, max(3, min(100, 200_000 // size)))
    began = time.perf_counter()
    folded = folding.fold([counter_id])
    seconds = time.perf_counter() - began
    assert folded.events == size, folded  # noqa: S101
    return {
        "accurate_us": accurate_us,
        "fold_us": seconds * 1e6,
        "events_per_second": size / seconds,
    }
