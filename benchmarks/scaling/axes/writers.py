"""Writers, from 1 to 64: threads in up to four processes, a connection each.

No worker folds meanwhile: what is measured is the write path alone.
"""

from __future__ import annotations

from benchmarks.scaling import filling, writing
from benchmarks.scaling.points import Axis, Plan, Point, Series, in_turns

AXIS = Axis(
    name="writers",
    title="Writers",
    grows="writers",
    series=(
        Series("adds_per_second", "adds", "adds/s"),
        Series("p50_us", "p50 of an add", "µs"),
        Series("p99_us", "p99 of an add", "µs"),
        Series("adds_per_flush", "adds to one flush of the WAL", "adds"),
        Series("postgres_us", "PostgreSQL's CPU for an add", "µs"),
        Series("busy", "share of all cores that is busy", "%", is_fitted=False),
    ),
    plots=(("adds_per_second",), ("p50_us", "p99_us")),
)
WRITERS = [1, 2, 4, 8, 16, 32, 64]
LOAD = writing.Load(10_000, "uniform")


def measure(plan: Plan) -> list[Point]:
    filling.create_counters(LOAD.counters)
    seconds = 1.0 if plan.quick else 2.0
    with writing.processes() as pool:
        # The first turn starts the processes.
        writing.write(pool, LOAD, writers=64, seconds=1)

        def turn(writers: int) -> dict[str, float]:
            written = writing.write(pool, LOAD, writers=writers, seconds=seconds)
            cost = written.cost
            return {
                "adds_per_second": written.adds_per_second,
                "p50_us": written.at_us(50),
                "p99_us": written.at_us(99),
                "adds_per_flush": written.adds / cost.flushes,
                "postgres_us": cost.postgres_cpu_seconds / written.adds * 1e6,
                "busy": cost.busy * 100,
            }

        return in_turns(plan.sizes(WRITERS, quick=16), turn, plan)
