"""Folding: events a second of one fold, the cost of a sweep, several workers."""

from __future__ import annotations

import os
import statistics
import time

from django.conf import settings

from benchmarks import programs
from benchmarks.data import add_pending, create_counters
from benchmarks.programs import Running
from benchmarks.results import Result, Table, figure, ratios
from benchmarks.servers import execute
from benchmarks.turns import Cost, Options, costs, servers
from counters import events
from rollups.folding import fold, sweep
from rollups.trigger import request

NEW_EVENTS = 500_000
SWEEPS = 50
WORKERS = (1, 2, 4)
COUNTERS = 2_000
EVENTS_EACH = 500
GIVE_UP_SECONDS = 300
BEHIND = """
SELECT count(*)
FROM counters_lastwrite AS last_write
JOIN rollups_rollup AS rollup USING (counter_id)
WHERE NOT pg_visible_in_snapshot(last_write.xid, rollup.watermark)
"""


def folding(options: Options) -> Result:
    """Fold one counter with few and with many kept events."""
    counter_id = events.add(namespace="bench", name="folded").counter_id
    fold.fold([counter_id])
    made = Result("Fold, one counter", Table(["kept events", "new events", "events/s"]))
    rates = {}
    new = options.pick(full=NEW_EVENTS, quick=NEW_EVENTS // 5)
    for kept in (1_000, options.pick(full=10_000_000, quick=1_000_000)):
        options.say(f"{kept:,} kept events")
        add_pending([counter_id], kept)
        fold.fold([counter_id])
        # The first fold finds its pages cold.
        rates[kept] = [_rate(counter_id, new) for _ in range(options.rounds + 1)][1:]
        made.table.rows.append([f"{kept:,}", f"{new:,}", str(figure(rates[kept]))])
    few, many = rates
    made.figures["events/s, few kept"] = figure(rates[few])
    made.figures["events/s, many kept"] = figure(rates[many])
    made.figures["many kept ÷ few kept"] = ratios(rates[many], rates[few])
    return made


def _rate(counter_id: int, new: int) -> float:
    add_pending([counter_id], new)
    execute("VACUUM ANALYZE counters_event")
    began = time.perf_counter()
    fold.fold([counter_id])
    return new / (time.perf_counter() - began)


def sweeping(options: Options) -> Result:
    """Sweep with few and with many counters, none of them pending."""
    # Every call sweeps, even right after the last one.
    settings.ROLLUPS_SWEEP_PERIOD_SECONDS = 0.000_001
    made = Result("Sweep, no counter pending", Table(["counters", "ms"]))
    times = {}
    for counters in (1_000, options.pick(full=1_000_000, quick=100_000)):
        options.say(f"{counters:,} counters")
        create_counters(counters)
        execute("VACUUM ANALYZE")
        times[counters] = [_sweep_ms() for _ in range(options.rounds)]
        made.table.rows.append([f"{counters:,}", str(figure(times[counters]))])
    few, many = times
    made.figures["many counters ÷ few"] = ratios(times[many], times[few])
    return made


def _sweep_ms() -> float:
    took = []
    for _ in range(SWEEPS):
        began = time.perf_counter()
        swept = sweep.sweep()
        took.append((time.perf_counter() - began) * 1e3)
        if swept is None:
            raise RuntimeError("another sweep was running, so this one did nothing")
    return statistics.median(took)


def workers(options: Options) -> Result:
    """Fold a backlog of many counters with one, two and four worker processes."""
    cores = os.cpu_count() or 1
    headings = [
        "workers",
        "events/s",
        "÷ one",
        "worker CPU cores",
        "PostgreSQL CPU cores",
    ]
    made = Result(
        f"A backlog, by number of worker processes ({cores} cores)",
        Table([*headings, "WAL MB/s"]),
    )
    create_counters(COUNTERS)
    each = options.pick(full=EVENTS_EACH, quick=EVENTS_EACH // 5)
    rates: dict[int, list[float]] = {}
    for processes in WORKERS:
        rates[processes], last, took = [], Cost(), 0.0
        with programs.workers(Running(), processes=processes) as running:
            for number in range(options.rounds + 1):
                options.say(f"{processes} workers, round {number} of {options.rounds}")
                cost = Cost()
                seconds = _drain(each, running, cost)
                if number:  # the first round warms up
                    rates[processes].append(COUNTERS * each / seconds)
                    last, took = cost, seconds
        share = ratios(rates[processes], rates[1])
        made.figures[f"{processes} workers ÷ one"] = share
        made.table.rows.append(
            [
                str(processes),
                str(figure(rates[processes])),
                str(share),
                f"{last.cpu_seconds['worker'] / took:.2f}",
                f"{last.cpu_seconds['PostgreSQL'] / took:.2f}",
                f"{last.wal_bytes / took / 1e6:.0f}",
            ]
        )
    return made


def _drain(each: int, running: Running, cost: Cost) -> float:
    """Append a backlog, trigger every counter; return the seconds until all are folded."""
    ids = [pk for (pk,) in execute("SELECT id FROM counters_counter ORDER BY random()")]
    add_pending(ids, each)
    execute("VACUUM ANALYZE counters_event, counters_lastwrite")
    with costs(servers() | running.pids, into=cost):
        began = time.perf_counter()
        request.request(ids)
        while execute(BEHIND) != [(0,)]:
            if time.perf_counter() - began > GIVE_UP_SECONDS:
                raise RuntimeError(f"not folded within {GIVE_UP_SECONDS} s")
            time.sleep(0.02)
        return time.perf_counter() - began
