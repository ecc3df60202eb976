"""Counters that there are, from one to a million; hardly any is pending.

The tables grow from point to point, so the points cannot take turns. A bare look-up by
primary key is measured beside them: what moves it is the machine, not the size.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from typing import Any
from uuid import uuid4

from benchmarks.scaling import buffers, filling
from benchmarks.scaling.points import Axis, Plan, Point, Series, summed_up, typical_us

AXIS = Axis(
    name="counters",
    title="Counters",
    grows="counters",
    series=(
        Series("add_us", "add to one of them", "µs"),
        Series("eventual_us", "eventual read of one of them", "µs"),
        Series("top_us", "the ten greatest", "µs"),
        Series("sweep_us", "sweep, none pending", "µs"),
        Series("control_us", "bare look-up of a row", "µs"),
        Series("add_pages", "add", "pages"),
        Series("eventual_pages", "eventual read", "pages"),
        # None where nothing is pending, so without an exponent.
        Series("sweep_pages", "sweep, its look", "pages", is_fitted=False),
    ),
    plots=(
        ("add_us", "eventual_us", "top_us", "sweep_us", "control_us"),
        ("add_pages", "eventual_pages"),
    ),
)
COUNTERS = [10**n for n in range(7)]
ADDS = 500


def measure(plan: Plan) -> list[Point]:
    settings: Any = import_module("django.conf").settings
    # A sweep that comes too soon after another does nothing.
    settings.ROLLUPS_SWEEP_PERIOD_SECONDS = 1e-6
    chance = random.Random(1)
    points = []
    for size in plan.sizes(COUNTERS, quick=100_000):
        plan.say(f"{size:,} counters")
        counter_ids = filling.create_counters(size)
        turns = [_turn(counter_ids, chance) for _ in range(plan.rounds)]
        points.append(summed_up(size, turns))
    return points


def _turn(counter_ids: Sequence[int], chance: random.Random) -> dict[str, float]:
    recording: Any = import_module("counters.events")
    draining: Any = import_module("rollups.folding.drain")
    reading: Any = import_module("rollups.counts")
    listing: Any = import_module("rollups.reading.listing")
    namespaces: Any = import_module("counters.namespaces.lookup")
    sweeping: Any = import_module("rollups.folding.sweep")
    bench = namespaces.get("bench")
    size = len(counter_ids)

    def any_name() -> str:
        return f"c{chance.randrange(size)}"

    def look_up() -> None:
        filling.execute(
            "SELECT total FROM rollups_rollup WHERE counter_id = %s",
            [chance.choice(counter_ids)],
        )

    def add() -> None:
        recording.add(namespace="bench", name=any_name())

    def read() -> None:
        reading.get(namespace="bench", name=any_name(), accuracy="eventual")

    found = {"control_us": typical_us(look_up, 200), "add_us": typical_us(add, ADDS)}
    for _ in draining.drain():
        pass
    found["sweep_us"] = typical_us(partial(_sweep, sweeping), 20)
    found["eventual_us"] = typical_us(read, 200)
    top = partial(listing.list_counters, bench, ordering="-count", limit=10)
    found["top_us"] = typical_us(top, 50)
    return found | _pages(bench.pk, any_name())


def _pages(namespace_id: int, name: str) -> dict[str, float]:
    """Return the pages that the statements touch, whatever else the machine does."""
    of_counter = {"namespace_id": namespace_id, "name": name}
    event = {"token": uuid4(), "event_time": datetime.now(UTC), "delta": 1}
    # Dead last writes are the adds', not the counters': autovacuum's job.
    filling.execute("VACUUM counters_lastwrite")
    return {
        "sweep_pages": buffers.touched(
            "rollups", "select_pending", grace=timedelta(0), most=50_000
        ),
        "eventual_pages": buffers.touched("rollups", "read_eventual", **of_counter),
        "add_pages": buffers.touched("counters", "add_event", **of_counter, **event),
    }


def _sweep(sweeping: Any) -> None:
    swept = sweeping.sweep()
    assert swept is not None, "left out"  # noqa: S101
    assert swept.pending == 0, swept  # noqa: S101
