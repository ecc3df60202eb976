"""A backlog of many counters, folded by one, two and four worker processes.

The CPU time of workers and of PostgreSQL says which of them is the limit.
"""

from __future__ import annotations

import os
import time

from benchmarks import meters, programs
from benchmarks.ground import create_counters, execute
from benchmarks.meters import Cost
from benchmarks.options import Options
from benchmarks.programs import Running
from benchmarks.results import Result, Table, figure, ratios
from rollups.trigger import request

TITLE = "A backlog, by number of worker processes"
COUNTERS = 2_000
EVENTS_EACH = 500
GIVE_UP_SECONDS = 300
BACKLOG = """
INSERT INTO counters_event (counter_id, token, event_time, delta)
SELECT id, gen_random_uuid(), now(), 1
FROM counters_counter, generate_series(1, %s)
"""
LAST_WRITES = """
INSERT INTO counters_lastwrite
  (counter_id, slot, written_at, pending_since, oldest_event_time, newest_event_time)
SELECT id, 1, now(), now(), now() - interval '1 day', now() + interval '1 day'
FROM counters_counter
ON CONFLICT (counter_id, slot) DO UPDATE
SET xid = excluded.xid, written_at = excluded.written_at
"""
BEHIND = """
SELECT count(*)
FROM counters_lastwrite AS last_write
JOIN rollups_rollup AS rollup USING (counter_id)
WHERE NOT pg_visible_in_snapshot(last_write.xid, rollup.watermark)
"""


def measure(options: Options) -> Result:
    cores = os.cpu_count() or 1
    headings = [
        "workers",
        "events/s",
        "÷ one",
        "worker CPU cores",
        "PostgreSQL CPU cores",
    ]
    made = Result(f"{TITLE} ({cores} cores)", Table([*headings, "WAL MB/s"]))
    create_counters(COUNTERS)
    each = options.pick(full=EVENTS_EACH, quick=EVENTS_EACH // 5)
    rates: dict[int, list[float]] = {}
    for workers in (1, 2, 4):
        rates[workers], costs, took = [], Cost(), 0.0
        with programs.workers(Running(), processes=workers) as running:
            time.sleep(4)
            for number in range(options.rounds + 1):
                options.say(f"{workers} workers, round {number} of {options.rounds}")
                cost = Cost()
                seconds = _drain(each, running, cost)
                if number:  # the first round warms up
                    rates[workers].append(COUNTERS * each / seconds)
                    costs, took = cost, seconds
        share = ratios(rates[workers], rates[1])
        made.figures[f"{workers} workers ÷ one"] = share
        made.table.rows.append(
            [
                str(workers),
                str(figure(rates[workers])),
                str(share),
                f"{costs.cpu_seconds['worker'] / took:.2f}",
                f"{costs.cpu_seconds['PostgreSQL'] / took:.2f}",
                f"{costs.wal_bytes / took / 1e6:.0f}",
            ]
        )
    return made


def _drain(each: int, running: Running, cost: Cost) -> float:
    """Make a backlog and trigger every counter; return the seconds until all are folded."""
    execute(BACKLOG, [each])
    execute(LAST_WRITES)
    execute("VACUUM ANALYZE counters_event, counters_lastwrite")
    ids = [pk for (pk,) in execute("SELECT id FROM counters_counter ORDER BY random()")]
    with meters.measured(meters.servers() | running.pids, into=cost):
        began = time.perf_counter()
        request.request(ids)
        while execute(BEHIND) != [(0,)]:
            if time.perf_counter() - began > GIVE_UP_SECONDS:
                raise RuntimeError(f"not folded within {GIVE_UP_SECONDS} s")
            time.sleep(0.02)
        return time.perf_counter() - began
