"""How writes spread over counters: all alike, a few much more than others, one alone."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

from benchmarks.scaling import filling, writing
from benchmarks.scaling.points import Axis, Plan, Point, Series, in_turns

AXIS = Axis(
    name="spread",
    title="How writes spread over counters",
    grows=None,
    series=(
        Series("adds_per_second", "adds", "adds/s"),
        Series("p50_us", "p50 of an add", "µs"),
        Series("p99_us", "p99 of an add", "µs"),
        Series("wal_bytes", "WAL of an add", "bytes"),
        Series("counters", "counters written", "counters"),
        Series("fold_ms", "folding all of it afterwards", "ms"),
        Series("events_per_second", "folded", "events/s"),
    ),
    plots=(("adds_per_second", "events_per_second"),),
)
LOADS = {
    "uniform": writing.Load(100_000, "uniform"),
    "Zipf 1.1": writing.Load(100_000, "zipf"),
    "one counter": writing.Load(100_000, "single"),
}
WRITERS = 16


def measure(plan: Plan) -> list[Point]:
    filling.create_counters(100_000)
    seconds = 1.0 if plan.quick else 2.0
    with writing.processes() as pool:
        writing.write(pool, LOADS["uniform"], writers=WRITERS, seconds=1)
        _drain()

        def turn(name: str) -> dict[str, float]:
            written = writing.write(pool, LOADS[name], writers=WRITERS, seconds=seconds)
            began = time.perf_counter()
            counters, events = _drain()
            took = time.perf_counter() - began
            return {
                "adds_per_second": written.adds_per_second,
                "p50_us": written.at_us(50),
                "p99_us": written.at_us(99),
                "wal_bytes": written.cost.wal_bytes / written.adds,
                "counters": counters,
                "fold_ms": took * 1000,
                "events_per_second": events / took,
            }

        return in_turns(list(LOADS), turn, plan)


def _drain() -> tuple[int, int]:
    """Fold all that is pending; return how many counters and how many events."""
    draining: Any = import_module("rollups.folding.drain")
    folded = list(draining.drain())
    return sum(one.counters for one in folded), sum(one.events for one in folded)
