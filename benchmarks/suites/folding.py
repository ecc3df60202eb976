"""Events folded a second by one worker, with few and with many kept events beside them."""

from __future__ import annotations

import time

from benchmarks.ground import execute
from benchmarks.options import Options
from benchmarks.results import Result, Table, figure, ratios
from benchmarks.seeding import add_events, mark_pending
from counters import events as record
from rollups.folding import fold

TITLE = "Fold, one counter"
NEW_EVENTS = 500_000


def measure(options: Options) -> Result:
    counter_id = record.add(namespace="bench", name="folded").counter_id
    fold.fold([counter_id])
    made = Result(TITLE, Table(["kept events", "new events", "events/s"]))
    rates = {}
    new = options.pick(full=NEW_EVENTS, quick=NEW_EVENTS // 5)
    for kept in (1_000, options.pick(full=10_000_000, quick=1_000_000)):
        options.say(f"{kept:,} kept events")
        add_events(counter_id, kept)
        mark_pending(counter_id)
        fold.fold([counter_id])
        # What is folded first finds its pages cold.
        rates[kept] = [_rate(counter_id, new) for _ in range(options.rounds + 1)][1:]
        made.table.rows.append([f"{kept:,}", f"{new:,}", str(figure(rates[kept]))])
    few, many = rates
    made.figures["events/s, few kept"] = figure(rates[few])
    made.figures["events/s, many kept"] = figure(rates[many])
    made.figures["many kept ÷ few kept"] = ratios(rates[many], rates[few])
    return made


def _rate(counter_id: int, events: int) -> float:
    add_events(counter_id, events)
    mark_pending(counter_id)
    execute("VACUUM ANALYZE counters_event")
    began = time.perf_counter()
    fold.fold([counter_id])
    return events / (time.perf_counter() - began)
