"""What a sweep costs while nothing is pending, with few counters and with many."""

from __future__ import annotations

import statistics
import time

from django.conf import settings

from benchmarks.ground import create_counters, execute
from benchmarks.options import Options
from benchmarks.results import Result, Table, figure, ratios
from rollups.folding import sweep

TITLE = "Sweep, no counter pending"
SWEEPS = 50


def measure(options: Options) -> Result:
    # Every call sweeps, however short the last one is ago.
    settings.ROLLUPS_SWEEP_PERIOD_SECONDS = 0.000_001
    made = Result(TITLE, Table(["counters", "ms"]))
    times = {}
    for counters in (1_000, options.pick(full=1_000_000, quick=100_000)):
        options.say(f"{counters:,} counters")
        create_counters(counters)
        execute("VACUUM ANALYZE")
        times[counters] = [_median_ms() for _ in range(options.rounds)]
        made.table.rows.append([f"{counters:,}", str(figure(times[counters]))])
    few, many = times
    made.figures["many counters ÷ few"] = ratios(times[many], times[few])
    return made


def _median_ms() -> float:
    took = []
    for _ in range(SWEEPS):
        began = time.perf_counter()
        swept = sweep.sweep()
        took.append((time.perf_counter() - began) * 1e3)
        if swept is None:
            raise RuntimeError("another sweep was at work: this one did nothing")
    return statistics.median(took)
