"""`python -m benchmarks.folding`: folds a second, and what a sweep costs.

A fold of many events with few and with many kept ones beside them; a sweep with few and
with many counters, none of them pending.
"""

from __future__ import annotations

import argparse
import statistics
import time
from importlib import import_module
from typing import Any

from rich.console import Console

from benchmarks.ground import prepared

ROUNDS = 5
EVENTS = """
INSERT INTO counters_event (counter_id, token, event_time, delta)
SELECT %s, gen_random_uuid(), now(), 1 FROM generate_series(1, %s)
"""
LAST_WRITE = """
INSERT INTO counters_lastwrite
  (counter_id, slot, written_at, pending_since, oldest_event_time, newest_event_time)
VALUES (%s, 1, now(), now(), now() - interval '1 day', now() + interval '1 day')
"""
COUNTERS = """
INSERT INTO counters_counter (namespace_id, name)
SELECT (SELECT min(id) FROM counters_namespace), 'many ' || i
FROM generate_series(1, %s) AS i
"""
ROLLUPS = """
INSERT INTO rollups_rollup (counter_id, namespace_id, watermark, watermark_at)
SELECT id, namespace_id, pg_current_snapshot(), now() FROM counters_counter
ON CONFLICT DO NOTHING
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000, help="of each fold")
    parser.add_argument("--kept", type=int, default=5_000_000)
    parser.add_argument("--counters", type=int, default=1_000_000)
    options = parser.parse_args()
    say = Console().print
    with prepared():
        recording: Any = import_module("counters.recording")
        counter_id = recording.add(namespace="bench", name="hits").counter_id
        few = _folds(counter_id, options.events)
        say(f"fold, nothing else kept: {few:,.0f} events/s")
        _execute(EVENTS, [counter_id, options.kept])
        _fold(counter_id)
        many = _folds(counter_id, options.events)
        say(
            f"fold, {options.kept:,} kept events: {many:,.0f} events/s; {many / few:.2f}"
        )
        _execute(COUNTERS, [1_000])
        _execute(ROLLUPS, [])
        small = _sweeps()
        say(f"sweep, 1,000 counters, none pending: {small * 1e3:.2f} ms")
        _execute(COUNTERS.replace("many", "more"), [options.counters])
        _execute(ROLLUPS, [])
        large = _sweeps()
        say(
            f"sweep, {options.counters:,} counters: {large * 1e3:.2f} ms; {large / small:.2f}"
        )


def _folds(counter_id: int, events: int) -> float:
    """Return events a second of the median fold."""
    rates = []
    for _ in range(ROUNDS):
        _execute(EVENTS, [counter_id, events])
        rates.append(events / _fold(counter_id))
    return statistics.median(rates)


def _fold(counter_id: int) -> float:
    folding: Any = import_module("rollups.folding")
    _execute(LAST_WRITE, [counter_id])
    _execute("VACUUM ANALYZE counters_event", [])
    began = time.perf_counter()
    folding.fold([counter_id])
    return time.perf_counter() - began


def _sweeps() -> float:
    sweeping: Any = import_module("rollups.sweeping")
    settings: Any = import_module("django.conf").settings
    settings.ROLLUPS_SWEEP_PERIOD_SECONDS = 0.000_001
    _execute("VACUUM ANALYZE", [])
    times = []
    for _ in range(50):
        began = time.perf_counter()
        assert sweeping.sweep() is not None  # noqa: S101
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _execute(statement: str, parameters: list[Any]) -> None:
    connection: Any = import_module("django.db").connection
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(statement, parameters or None)


if __name__ == "__main__":
    main()
