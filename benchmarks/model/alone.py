"""Measures what writers are not needed for: folds, messages, questions, REST calls.

Once in each round of the turns, so that a machine that is slower for some minutes is slower for
these as well.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any

import psutil
import redis

from benchmarks.model import web
from benchmarks.scaling import filling, workers
from benchmarks.scaling.costs import Meter

MESSAGES, MESSAGE_IDS = 400, 10
ASKED_FEW, ASKED_MANY, ASKS = 10, 300, 100
FOLD_MANY = 100
EVENTS_FEW, EVENTS_MANY = 2, 20
REST_MANY = 100


@dataclass(frozen=True, slots=True)
class Alone:
    """CPU seconds of one fold, message, question or call; bytes of WAL."""

    # Of one counter with two events, of a hundred with two each, of these with twenty.
    fold_one_worker: float
    fold_one_postgres: float
    fold_one_wal_bytes: float
    fold_many_worker: float
    fold_many_postgres: float
    fold_many_wal_bytes: float
    fold_events_postgres: float
    # Of a message whose counters have nothing pending.
    message_broker: float
    message_consumer: float
    message_worker: float
    message_postgres: float
    ask_few: float
    ask_many: float
    # Of a call with one event, and with a hundred.
    rest_one: float
    rest_many: float


def measure(counter_ids: list[int]) -> Alone:
    """Return what each takes now."""
    one, many, events = (
        _fold(counter_ids, size, each)
        for size, each in (
            (1, EVENTS_FEW),
            (FOLD_MANY, EVENTS_FEW),
            (FOLD_MANY, EVENTS_MANY),
        )
    )
    return Alone(
        *one,
        *many,
        events[1],
        *_message(counter_ids[:MESSAGE_IDS]),
        _ask(counter_ids[:ASKED_FEW]),
        _ask(counter_ids[:ASKED_MANY]),
        web.cpu_of_call(1),
        web.cpu_of_call(REST_MANY),
    )


def least(found: Sequence[Alone]) -> Alone:
    """Return the least of each: what it takes where nothing disturbs it."""
    return Alone(
        *(min(getattr(one, field.name) for one in found) for field in fields(Alone))
    )


def _fold(counter_ids: list[int], size: int, each: int) -> tuple[float, float, float]:
    """Return what a fold of `size` counters takes: worker and PostgreSQL in CPU seconds, WAL.

    Many one after the other, so that reading the meters is no part of it.
    """
    folding: Any = import_module("rollups.folding.fold")
    filling.add_events_of_many(counter_ids, each)
    starts = range(0, len(counter_ids), size)
    meter = Meter()
    meter.begin()
    cpu = time.process_time()
    for start in starts:
        folding.fold(counter_ids[start : start + size])
    cpu = time.process_time() - cpu
    cost = meter.end()
    folds = len(starts)
    return cpu / folds, cost.postgres_cpu_seconds / folds, cost.wal_bytes / folds


def _message(counter_ids: list[int]) -> tuple[float, float, float, float]:
    """Return what a message takes: broker, worker's main process, who folds, PostgreSQL."""
    tasks: Any = import_module("rollups.worker.tasks")
    settings: Any = import_module("django.conf").settings
    with (
        workers.working(1, counter_ids=counter_ids) as worker,
        redis.Redis.from_url(settings.CELERY_BROKER_URL) as broker,
    ):
        process = psutil.Process(int(broker.info("server")["process_id"]))
        main = psutil.Process(worker)
        meter = Meter(program=worker)
        meter.begin()
        before = sum(process.cpu_times()[:2]), sum(main.cpu_times()[:2])
        for _ in range(MESSAGES):
            # With an expiry it is a message of its own; else the publisher would gather.
            tasks.rollup.apply_async(args=[counter_ids], expires=60)
        workers.wait_until_folded()
        # The last ones are still with the worker.
        time.sleep(0.5)
        cost = meter.end()
        own = sum(main.cpu_times()[:2]) - before[1]
        return (
            (sum(process.cpu_times()[:2]) - before[0]) / MESSAGES,
            own / MESSAGES,
            (cost.program_cpu_seconds - own) / MESSAGES,
            cost.postgres_cpu_seconds / MESSAGES,
        )


def _ask(counter_ids: list[int]) -> float:
    """Return what it takes to ask which of the counters circulate, in CPU seconds."""
    circulation: Any = import_module("rollups.worker.debounce")
    circulation.look_up(counter_ids)  # connects
    cpu = time.process_time()
    for _ in range(ASKS):
        circulation.look_up(counter_ids)
    return (time.process_time() - cpu) / ASKS
