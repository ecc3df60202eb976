"""`python -m benchmarks.staleness`: from an add's commit to its being visible.

A real worker folds; a reader looks at the rollups every two milliseconds. At a few adds a
second, and at half of what this machine can write.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.ground import Measured, adds, prepared

COUNTERS = 100
LOOK_EVERY_SECONDS = 0.002


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="at each rate")
    parser.add_argument("--threads", type=int, default=4)
    options = parser.parse_args()
    table = Table(title="From commit to visible in an eventual read")
    for head in ("adds/s", "seen", "p50 ms", "p99 ms", "worst ms"):
        table.add_column(head, justify="right")
    with prepared() as data_dir, _worker(data_dir):
        full = Measured()
        adds(full, threads=options.threads, seconds=3, counters=COUNTERS)
        half = len(full.seconds) / 3 / 2
        for rate in (20.0, half / 4, half):
            time.sleep(1)
            seconds = sorted(_measure(rate, options.seconds, options.threads))
            table.add_row(
                f"{rate:,.0f}",
                f"{len(seconds):,}",
                *(
                    f"{seconds[min(len(seconds) - 1, int(len(seconds) * share))] * 1e3:.0f}"
                    for share in (0.5, 0.99, 1)
                ),
            )
    Console().print(table)


@contextmanager
def _worker(data_dir: Path) -> Iterator[None]:
    argv = [
        "-m",
        "celery",
        "-A",
        "counters_project",
        "worker",
        "-c",
        "1",
        "-l",
        "ERROR",
    ]
    with (data_dir / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, *argv, "--without-gossip", "--without-mingle"],
            env=os.environ | {"COUNTERS_ROLE": "worker"},
            stdout=log,
            stderr=log,
        )
        time.sleep(4)
        try:
            yield
        finally:
            worker.terminate()
            worker.wait()


def _measure(rate: float, seconds: float, threads: int) -> list[float]:
    """Add at a steady rate; return the seconds from each commit to its being seen."""
    recording: Any = import_module("counters.recording")
    django_db: Any = import_module("django.db")
    # By counter: how many events it had, and the times of this run's commits in order.
    committed: dict[int, list[float]] = {}
    base: dict[int, int] = {}
    seen: dict[int, int] = {}
    stale: list[float] = []
    ends = threading.Event()
    lock = threading.Lock()

    def look() -> None:
        django_db.connections["default"].ensure_connection()
        with django_db.connection.cursor() as cursor:
            cursor.execute("SELECT counter_id, events FROM rollups_rollup")
            base.update(cursor.fetchall())
            seen.update(base)
            started.wait()
            while not ends.is_set():
                cursor.execute("SELECT counter_id, events FROM rollups_rollup")
                now = time.perf_counter()
                for counter_id, events in cursor.fetchall():
                    before = seen.get(counter_id, 0)
                    if events > before:
                        first = base.get(counter_id, 0)
                        with lock:
                            times = committed.get(counter_id, [])
                            new = times[before - first : events - first]
                            seen[counter_id] = before + len(new)
                        stale.extend(max(0.0, now - one) for one in new)
                time.sleep(LOOK_EVERY_SECONDS)
        django_db.connections.close_all()

    def write(number: int) -> None:
        started.wait()
        due = time.perf_counter() + number / rate
        until = time.perf_counter() + seconds
        turn = number
        while due < until:
            time.sleep(max(0.0, due - time.perf_counter()))
            # Each thread has counters of its own, so that a counter's commits are in order.
            turn += threads
            name = f"c{turn % COUNTERS // threads * threads + number}"
            answer = recording.add(namespace="bench", name=name)
            with lock:
                committed.setdefault(answer.counter_id, []).append(time.perf_counter())
            due += threads / rate
        django_db.connections.close_all()

    started = threading.Barrier(threads + 1)
    reader = threading.Thread(target=look)
    writers = [
        threading.Thread(target=write, args=(number,)) for number in range(threads)
    ]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    time.sleep(1)
    ends.set()
    reader.join()
    return stale


if __name__ == "__main__":
    main()
