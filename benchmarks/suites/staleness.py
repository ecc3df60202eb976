"""Staleness: the time from an add's commit to an eventual read that shows it.

A worker folds in a process of its own. A reader looks at the rollups every two
milliseconds, so a figure may be two milliseconds too high.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from django.db import connection, connections

from benchmarks.programs import Running, worker
from benchmarks.results import Result, Table, figure, percentile
from benchmarks.suites.trigger import Adds, adds
from benchmarks.turns import Options
from counters import events

TITLE = "From commit to visible in an eventual read"
COUNTERS = 100
THREADS = 4
LOOK_EVERY_SECONDS = 0.002
A_FEW = 20.0
ALL = "SELECT counter_id, events FROM rollups_rollup"


def staleness(options: Options) -> Result:
    made = Result(
        TITLE,
        Table(["adds/s", "share of capacity", "seen", "p50 ms", "p99 ms", "worst ms"]),
    )
    with worker(Running()):
        time.sleep(4)
        full = Adds()
        adds(full, threads=THREADS, seconds=options.seconds, counters=COUNTERS)
        capacity = len(full.seconds) / options.seconds
        for rate in (A_FEW, capacity / 4, capacity / 2):
            turns = []
            for _ in range(options.rounds):
                time.sleep(1)
                turns.append(sorted(_Run(rate).measure(options.seconds)))
            p50, p99 = (
                [percentile(one, share) * 1e3 for one in turns] for share in (50, 99)
            )
            name = "a few adds/s" if rate == A_FEW else f"{rate / capacity:.0%}"
            made.figures[f"p50 ms, {name}"] = figure(p50)
            made.figures[f"p99 ms, {name}"] = figure(p99)
            made.table.rows.append(
                [
                    f"{rate:,.0f}",
                    f"{rate / capacity:.0%}",
                    f"{sum(len(one) for one in turns):,}",
                    str(figure(p50)),
                    str(figure(p99)),
                    f"{max(one[-1] for one in turns) * 1e3:.0f}",
                ]
            )
    return made


class _Run:
    """Writers at a steady rate, and a reader that sees their adds."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        # By counter: earlier events, seen events, and this run's commits in order.
        self.base: dict[int, int] = {}
        self.seen: dict[int, int] = {}
        self.committed: dict[int, list[float]] = {}
        self.stale: list[float] = []
        self.lock = threading.Lock()
        self.started = threading.Barrier(THREADS + 1)
        self.ends = threading.Event()

    def measure(self, seconds: float) -> list[float]:
        """Return the seconds from each commit to the read that shows it."""
        writers = [
            threading.Thread(target=self._write, args=(number, seconds))
            for number in range(THREADS)
        ]
        reader = threading.Thread(target=self._look)
        for thread in (reader, *writers):
            thread.start()
        for thread in writers:
            thread.join()
        time.sleep(1)
        self.ends.set()
        reader.join()
        return self.stale

    def _look(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(ALL)
            self.base = dict(cursor.fetchall())
            self.seen = dict(self.base)
            self.started.wait()
            while not self.ends.is_set():
                cursor.execute(ALL)
                self._note(cursor.fetchall(), now=time.perf_counter())
                time.sleep(LOOK_EVERY_SECONDS)
        connections.close_all()

    def _note(self, rows: list[Any], *, now: float) -> None:
        for counter_id, seen in rows:
            before, first = self.seen.get(counter_id, 0), self.base.get(counter_id, 0)
            if seen <= before:
                continue
            with self.lock:
                times = self.committed.get(counter_id, [])
                new = times[before - first : seen - first]
            self.seen[counter_id] = before + len(new)
            self.stale += [max(0.0, now - one) for one in new]

    def _write(self, number: int, seconds: float) -> None:
        self.started.wait()
        due = time.perf_counter() + number / self.rate
        until = time.perf_counter() + seconds
        turn = number
        while due < until:
            time.sleep(max(0.0, due - time.perf_counter()))
            # Each thread has counters of its own, so that a counter's commits are in order.
            turn += THREADS
            name = f"s{turn % COUNTERS // THREADS * THREADS + number}"
            answer = events.add(namespace="bench", name=name)
            with self.lock:
                times = self.committed.setdefault(answer.counter_id, [])
                times.append(time.perf_counter())
            due += THREADS / self.rate
        connections.close_all()
