"""Worker processes, 1, 2 and 4, that fold a backlog of many counters."""

from __future__ import annotations

from benchmarks.scaling import filling, workers
from benchmarks.scaling.costs import Meter
from benchmarks.scaling.points import Axis, Plan, Point, Series, in_turns

AXIS = Axis(
    name="workers",
    title="Worker processes",
    grows="worker processes",
    series=(
        Series("counters_per_second", "counters folded", "counters/s"),
        Series("worker_us", "worker's CPU for a counter", "µs"),
        Series("postgres_us", "PostgreSQL's CPU for a counter", "µs"),
        Series("worker_cores", "cores that the worker has", "cores", is_fitted=False),
        Series("postgres_cores", "cores that PostgreSQL has", "cores", is_fitted=False),
        Series("busy", "share of all cores that is busy", "%", is_fitted=False),
        Series("wal_megabytes", "WAL", "MB/s", is_fitted=False),
    ),
    plots=(("counters_per_second",), ("worker_cores", "postgres_cores")),
)
EVENTS_EACH = 4


def measure(plan: Plan) -> list[Point]:
    counters = 20_000 if plan.quick else 60_000
    counter_ids = filling.create_counters(counters)

    def turn(processes: int) -> dict[str, float]:
        # As autovacuum leaves it: dead last writes would slow down the look for live ones.
        filling.execute("VACUUM ANALYZE counters_lastwrite, rollups_rollup")
        with workers.working(processes, counter_ids=counter_ids[:5_000]) as worker:
            filling.add_events_of_many(counter_ids, EVENTS_EACH)
            meter = Meter(program=worker)
            meter.begin()
            workers.ask(counter_ids)
            workers.wait_until_folded()
            cost = meter.end()
        return {
            "counters_per_second": counters / cost.seconds,
            "worker_us": cost.program_cpu_seconds / counters * 1e6,
            "postgres_us": cost.postgres_cpu_seconds / counters * 1e6,
            "worker_cores": cost.program_cpu_seconds / cost.seconds,
            "postgres_cores": cost.postgres_cpu_seconds / cost.seconds,
            "busy": cost.busy * 100,
            "wal_megabytes": cost.wal_bytes / 1e6 / cost.seconds,
        }

    return in_turns(plan.sizes([1, 2, 4], quick=2), turn, plan)
