"""What 75,000 adds a second take: on paper by the operational laws, and simulated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.model import laws
from benchmarks.model.demands import CROWDED, Demands
from benchmarks.model.system import Hosts, Predicted, Run, predict

EVENTS_PER_SECOND = 75_000
BATCHES = [1, 10, 100]
COUNTERS = 100_000
EVENT_BYTES = 180
AT_MOST = 0.6
DAY_SECONDS = 86_400
FREEZE_AGE, WRAPAROUND = 200e6, 2**31
SATURATION_CORES = 32


@dataclass(frozen=True, slots=True)
class OnPaper:
    """What a batch size takes of each resource; no queueing is in it."""

    batch: int
    calls_per_second: float
    database_cores: float
    fold_database_cores: float
    python_cores: float
    rest_cores: float
    worker_cores: float
    wal_megabytes: float
    flushes_per_second: float
    disk_terabytes_a_day: float
    transactions_per_second: float
    freeze_minutes: float
    wraparound_hours: float


def on_paper(demands: Demands, batch: int) -> OnPaper:
    """Return demand times rate for each resource (the utilisation law, U = X D)."""
    calls = EVENTS_PER_SECOND / batch
    client, postgres, wal = _of_call(demands, batch)
    # A flush after the other at most; more calls share one.
    flush = sum(demands.flush_seconds) / len(demands.flush_seconds)
    flushes = min(calls, 1 / flush)
    # Hardly a counter is written twice before it is folded: each event is a counter's fold.
    folds = EVENTS_PER_SECOND
    return OnPaper(
        batch=batch,
        calls_per_second=calls,
        database_cores=calls * postgres + flushes * demands.flush_cpu,
        fold_database_cores=folds
        * (demands.fold_postgres.each + demands.fold_event_postgres),
        python_cores=calls * client,
        rest_cores=calls * demands.rest.of(batch),
        worker_cores=folds * demands.fold_worker.each,
        wal_megabytes=(calls * wal + folds * demands.fold_wal_bytes.each) / 1e6,
        flushes_per_second=flushes,
        disk_terabytes_a_day=EVENTS_PER_SECOND * EVENT_BYTES * DAY_SECONDS / 1e12,
        transactions_per_second=calls,
        freeze_minutes=FREEZE_AGE / calls / 60,
        wraparound_hours=WRAPAROUND / calls / 3600,
    )


@dataclass(frozen=True, slots=True)
class Simulated:
    """Hosts that keep every tier at most 60 % busy, and how they do."""

    batch: int
    run: Run
    predicted: Predicted


def simulate(demands: Demands, batch: int, *, seconds: float = 0.5) -> Simulated:
    """Size each tier by the utilisation law, then simulate it under random arrivals."""
    paper = on_paper(demands, batch)
    web = _cores(paper.rest_cores)
    # A web process is a core; each sends up to 25 messages a second.
    messages = web * 25
    worker_seconds = paper.worker_cores + messages * (
        demands.message_worker + demands.message_consumer + demands.message_broker
    )
    database = (
        paper.database_cores
        + paper.fold_database_cores
        + messages * demands.message_postgres
    )
    workers = _cores(worker_seconds)
    run = Run(
        writers=web,
        hosts=Hosts(web=web, database=_cores(database), worker=workers),
        batch=batch,
        workers=2 * workers,
        consumers=max(1, workers // 4),
        counters=COUNTERS,
        calls_per_second=paper.calls_per_second,
        rest=True,
        seconds=seconds,
        warm_up=0.3,
    )
    return Simulated(batch, run, predict(demands, run))


def saturation(
    demands: Demands, shares: Sequence[float], *, batch: int = 1
) -> list[Simulated]:
    """Simulate one primary of 32 cores from idle to nearly full, nothing else short."""
    _, postgres, _ = _of_call(demands, batch)
    each = postgres + batch * (demands.fold_postgres.each + demands.fold_event_postgres)
    found = []
    for share in shares:
        run = Run(
            writers=64,
            hosts=Hosts(web=512, database=SATURATION_CORES, worker=64),
            batch=batch,
            workers=64,
            consumers=16,
            counters=COUNTERS,
            calls_per_second=SATURATION_CORES * share / each,
            seconds=0.3,
            warm_up=0.2,
        )
        found.append(Simulated(batch, run, predict(demands, run)))
    return found


def primaries(paper: OnPaper, cores: int) -> int:
    """Return how many primaries of so many cores share the writes and the folds."""
    return laws.machines(
        throughput=1.0,
        demand=paper.database_cores + paper.fold_database_cores,
        cores=cores,
        at_most=AT_MOST,
    )


def _cores(needed: float) -> int:
    return max(1, math.ceil(needed / AT_MOST))


def _of_call(demands: Demands, batch: int) -> tuple[float, float, float]:
    """Return a call's CPU in Python and in PostgreSQL, and its bytes of WAL."""
    if batch == 1:
        return (
            demands.add_client.of(CROWDED),
            demands.add_postgres.of(CROWDED),
            demands.add_wal_bytes,
        )
    return (
        demands.batch_client.of(batch),
        demands.batch_postgres.of(batch),
        demands.batch_wal_bytes.of(batch),
    )
