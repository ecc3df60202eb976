"""Writers that are measured: a process and a connection each."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from benchmarks.model.system import Hosts, Run
from benchmarks.scaling.costs import (
    READS_BEFORE_SECONDS,
    REPORTS_AFTER_SECONDS,
    Meter,
)

COUNTERS = 1_000
WARM_UP_SECONDS, WARM_UP_SECONDS_EACH, WARM_UP_CALLS = 0.8, 0.05, 5


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn is: `writers` call as fast as they can, `batch` events a call."""

    writers: int
    batch: int = 1
    workers: int = 0
    trigger: str = "background"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was measured; seconds, of CPU where it says so, for each call."""

    calls_per_second: float
    mean_ms: float
    p50_ms: float
    p99_ms: float
    client_cpu: float
    # What of it the publishers' threads took.
    publisher_cpu: float
    postgres_cpu: float
    worker_cpu: float
    wal_bytes: float
    flushes: float
    messages: float
    # Cores that neither our processes nor nobody used: what disturbed the turn.
    others: float

    @property
    def cpu(self) -> float:
        """CPU seconds of a call, by whomever of ours."""
        return self.client_cpu + self.postgres_cpu + self.worker_cpu


def as_run(turn: Turn, seen: Seen, *, cores: int) -> Run:
    """Return the turn as the model runs it, on the cores that others left to it."""
    return Run(
        writers=turn.writers,
        batch=turn.batch,
        workers=turn.workers,
        counters=COUNTERS,
        hosts=Hosts(max(0.1, cores - seen.others)),
    )


@dataclass(frozen=True, slots=True)
class _Done:
    """What one writer did, and for how long: less than it should if it was not ready."""

    seconds: float
    cpu_seconds: float
    publisher_cpu_seconds: float
    messages: int
    took: list[float]


@contextmanager
def started(writers: int) -> Iterator[ProcessPoolExecutor]:
    """Keep processes with Django in them, for turn after turn."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.preload"])
    with ProcessPoolExecutor(writers, context) as pool:
        # The first turn is not to wait for processes that start. Each sleeps, so that each
        # takes one.
        list(pool.map(time.sleep, [2.0] * writers))
        yield pool


def measure(
    pool: ProcessPoolExecutor, turn: Turn, *, seconds: float, worker: int | None = None
) -> Seen:
    """Let the writers call for some seconds; `worker` is a process that runs beside."""
    begins_at = time.monotonic() + WARM_UP_SECONDS + WARM_UP_SECONDS_EACH * turn.writers
    tasks = [
        pool.submit(_write, turn, number, begins_at, begins_at + seconds)
        for number in range(turn.writers)
    ]
    meter = Meter(program=worker)
    sleep_until(begins_at - READS_BEFORE_SECONDS)
    meter.begin()
    sleep_until(begins_at + seconds)
    cost = meter.end()
    done = [task.result() for task in tasks]
    took = sorted(one for writer in done for one in writer.took)
    client_cpu, calls = sum(writer.cpu_seconds for writer in done), len(took)
    ours = client_cpu + cost.postgres_cpu_seconds + cost.program_cpu_seconds
    cores = multiprocessing.cpu_count()
    return Seen(
        calls_per_second=sum(len(writer.took) / writer.seconds for writer in done),
        mean_ms=sum(took) / calls * 1000,
        p50_ms=took[calls // 2] * 1000,
        p99_ms=took[calls * 99 // 100] * 1000,
        client_cpu=client_cpu / calls,
        publisher_cpu=sum(writer.publisher_cpu_seconds for writer in done) / calls,
        postgres_cpu=cost.postgres_cpu_seconds / calls,
        worker_cpu=cost.program_cpu_seconds / calls,
        wal_bytes=cost.wal_bytes / calls,
        flushes=meter.flushes() / calls,
        messages=sum(writer.messages for writer in done) / calls,
        others=max(0.0, cost.busy * cores * cost.seconds - ours) / seconds,
    )


def sleep_until(at: float) -> None:
    """Return at that time of the monotonic clock, which all processes of a machine share."""
    time.sleep(max(0.0, at - time.monotonic()))


def _write(turn: Turn, number: int, begins_at: float, ends_at: float) -> _Done:
    recording: Any = import_module("counters.events")
    publisher: Any = import_module("rollups.trigger.publisher")
    settings: Any = import_module("django.conf").settings
    connection: Any = import_module("django.db").connection
    settings.ROLLUPS_TRIGGER = turn.trigger
    chance = random.Random(number)
    took: list[float] = []

    def call() -> None:
        names = [f"c{chance.randrange(COUNTERS)}" for _ in range(turn.batch)]
        if turn.batch == 1:
            recording.add(namespace="bench", name=names[0])
        else:
            recording.add_many([recording.NewEvent("bench", name) for name in names])

    for _ in range(WARM_UP_CALLS):
        call()
    tally = publisher.get().tally
    sleep_until(begins_at)
    messages = tally.messages
    cpu, own, started_at = time.process_time(), time.thread_time(), time.monotonic()
    while (began := time.monotonic()) < ends_at:
        call()
        took.append(time.monotonic() - began)
    cpu, own = time.process_time() - cpu, time.thread_time() - own
    messages = tally.messages - messages
    seconds = max(0.1, time.monotonic() - started_at)
    # A backend that is spoken to reports the flushes that it has made.
    time.sleep(REPORTS_AFTER_SECONDS)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return _Done(seconds, cpu, cpu - own, messages, took)
