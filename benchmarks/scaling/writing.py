"""Writers: threads in several processes, all adding at once."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from bisect import bisect
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import accumulate, cycle
from typing import Any, Literal

from hdrh.histogram import HdrHistogram

from benchmarks.scaling.costs import (
    READS_BEFORE_SECONDS,
    REPORTS_AFTER_SECONDS,
    Cost,
    Meter,
)

PROCESSES = 4
WARM_UP_SECONDS, WARM_UP_ADDS = 0.8, 5
DRAWN = 20_000
ZIPF_EXPONENT = 1.1
# Microseconds: up to a minute, with three digits that count.
LONGEST_US = 60_000_000

Spread = Literal["uniform", "zipf", "single"]


@dataclass(frozen=True, slots=True)
class Load:
    """Which counters are written: `c0` up to one less than so many."""

    counters: int
    spread: Spread


@dataclass(frozen=True, slots=True)
class Written:
    """What all writers did together."""

    adds_per_second: float
    histogram: HdrHistogram
    cost: Cost

    @property
    def adds(self) -> int:
        return int(self.histogram.get_total_count())

    def at_us(self, percentile: float) -> float:
        return float(self.histogram.get_value_at_percentile(percentile))


@contextmanager
def processes() -> Iterator[ProcessPoolExecutor]:
    """Keep some processes with Django in them, for turn after turn."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, context, initializer=_set_up) as pool:
        yield pool


def write(
    pool: ProcessPoolExecutor, load: Load, *, writers: int, seconds: float
) -> Written:
    """Add from so many threads for some seconds, each as fast as it can."""
    used = min(writers, PROCESSES)
    # Each process is busy until its turn ends, so that no two tasks share one.
    begins_at = time.monotonic() + WARM_UP_SECONDS
    tasks = [
        pool.submit(
            _write,
            load,
            threads=writers // used + (number < writers % used),
            begins_at=begins_at,
            ends_at=begins_at + seconds,
            seed=number,
        )
        for number in range(used)
    ]
    meter = Meter()
    _sleep_until(begins_at - READS_BEFORE_SECONDS)
    meter.begin()
    _sleep_until(begins_at + seconds)
    cost = meter.end()
    histogram = HdrHistogram(1, LONGEST_US, 3)
    for task in tasks:
        histogram.decode_and_add(task.result())
    cost.flushes = meter.flushes()
    return Written(histogram.get_total_count() / seconds, histogram, cost)


def _sleep_until(at: float) -> None:
    time.sleep(max(0.0, at - time.monotonic()))


def _set_up() -> None:
    import_module("django").setup()


def _write(
    load: Load, *, threads: int, begins_at: float, ends_at: float, seed: int
) -> bytes:
    """Run the writers of one process; return their histogram of microseconds."""
    took: list[list[float]] = [[] for _ in range(threads)]
    running = [
        threading.Thread(
            target=_one_writer,
            args=(_keys(load, seed * 1000 + i), begins_at, ends_at, took[i]),
        )
        for i in range(threads)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    histogram = HdrHistogram(1, LONGEST_US, 3)
    for mine in took:
        for second in mine:
            histogram.record_value(max(1, round(second * 1e6)))
    encoded: bytes = histogram.encode()
    return encoded


def _one_writer(
    keys: Sequence[int], begins_at: float, ends_at: float, took: list[float]
) -> None:
    recording: Any = import_module("counters.events")
    database: Any = import_module("django.db")
    turn = cycle(keys)
    # Connect, prepare the statement, meet the others.
    for _ in range(WARM_UP_ADDS):
        recording.add(namespace="bench", name=f"c{next(turn)}")
    _sleep_until(begins_at)
    while (began := time.monotonic()) < ends_at:
        recording.add(namespace="bench", name=f"c{next(turn)}")
        took.append(time.monotonic() - began)
    # A backend that is spoken to reports the flushes that it has made.
    time.sleep(REPORTS_AFTER_SECONDS)
    with database.connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    database.connections.close_all()


def _keys(load: Load, seed: int) -> list[int]:
    chance = random.Random(seed)
    match load.spread:
        case "single":
            return [0]
        case "uniform":
            return [chance.randrange(load.counters) for _ in range(DRAWN)]
        case "zipf":
            sums = _zipf_sums(load.counters)
            return [bisect(sums, chance.random() * sums[-1]) for _ in range(DRAWN)]


@cache
def _zipf_sums(counters: int) -> list[float]:
    return list(accumulate((i + 1) ** -ZIPF_EXPONENT for i in range(counters)))
