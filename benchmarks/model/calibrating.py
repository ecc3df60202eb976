"""Measures the demands: a short run, CPU seconds rather than times.

None of the points that the model is held against is measured here. Two points that differ
in one thing give what is fixed and what each thing adds; an add's demand is measured at four
numbers of writers. The flush's share comes off, since how many calls share one depends on the
load.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import redis

from benchmarks import facts
from benchmarks.model import disk, fitting, web
from benchmarks.model.demands import Curve, Demands, Line
from benchmarks.model.writers import Seen, Turn
from benchmarks.scaling import filling, workers
from benchmarks.scaling.costs import Meter

ADDS = [Turn(3), Turn(12)]
WITHOUT_TRIGGER = [Turn(writers, trigger="off") for writers in (3, 12, 24, 48)]
BATCHES = [Turn(3, batch=30, trigger="off"), Turn(3, batch=300, trigger="off")]
BESIDE = [
    *(Turn(writers, workers=1) for writers in (3, 12, 24, 48)),
    *(Turn(3, batch=events, workers=1) for events in (30, 300)),
]
TURNS = [*ADDS, *WITHOUT_TRIGGER, *BATCHES, *BESIDE]
# Counters, and events of each.
FOLDS = [(1, 2), (100, 2), (100, 20)]
FOLD_ROUNDS = 5
MESSAGES, MESSAGE_IDS = 1_000, 10
ASKED, ASKS = (10, 300), 200
ROUND_TRIPS = 2_000


def calibrate(
    data_dir: Path,
    seen: Mapping[Turn, Seen],
    counter_ids: list[int],
    say: Callable[[str], None],
) -> Demands:
    """Return the demands of this machine and this code; `seen` has the turns of TURNS."""
    say("the disk")
    flush = disk.measure(data_dir)

    def postgres(turn: Turn) -> float:
        """Return what a call takes of PostgreSQL but for flushing."""
        return seen[turn].postgres_cpu - seen[turn].flushes * flush.cpu_seconds

    small, large = BATCHES
    say("folds")
    folds = [_fold(counter_ids, size, each) for size, each in FOLDS]
    say("messages")
    message = _messages(counter_ids[:MESSAGE_IDS])
    say("the web server")
    rest = {events: web.cpu_of_call(events) for events in (1, 100)}
    demands = Demands(
        add_client=Curve([(t.writers, seen[t].client_cpu) for t in WITHOUT_TRIGGER]),
        add_postgres=Curve([(t.writers, postgres(t)) for t in WITHOUT_TRIGGER]),
        add_wal_bytes=_middle(seen, WITHOUT_TRIGGER, "wal_bytes"),
        batch_client=_line(
            (small.batch, seen[small].client_cpu), (large.batch, seen[large].client_cpu)
        ),
        batch_postgres=_line(
            (small.batch, postgres(small)), (large.batch, postgres(large))
        ),
        batch_wal_bytes=_line(
            (small.batch, seen[small].wal_bytes), (large.batch, seen[large].wal_bytes)
        ),
        rest=_line((1, rest[1]), (100, rest[100])),
        round_trip=_round_trip(),
        ask=_line(*((n, _ask(counter_ids[:n])) for n in ASKED)),
        message_client=_message_of_writer(seen),
        message_broker=message["broker"],
        message_consumer=message["consumer"],
        message_worker=message["worker"],
        message_postgres=message["postgres"],
        fold_worker=_line((1, folds[0][0]), (100, folds[1][0])),
        fold_postgres=_line((1, folds[0][1]), (100, folds[1][1])),
        fold_event_postgres=max(0.0, (folds[2][1] - folds[1][1]) / (100 * (20 - 2))),
        fold_wal_bytes=_line((1, folds[0][2]), (100, folds[1][2])),
        flush_seconds=flush.seconds,
        flush_cpu=flush.cpu_seconds,
        flush_bytes_per_second=flush.bytes_per_second,
        facts=facts.of_machine()
        | {"others": f"{statistics.fmean(seen[t].others for t in TURNS):.2f} cores"},
    )
    say("what sharing the cores costs, and how many jobs stay where they were woken")
    own = {turn: seen[turn] for turn in (*WITHOUT_TRIGGER, *BESIDE)}
    return fitting.fitted(demands, own, cores=multiprocessing.cpu_count())


def _middle(seen: Mapping[Turn, Seen], turns: Sequence[Turn], name: str) -> float:
    return statistics.fmean(getattr(seen[turn], name) for turn in turns)


def _line(one: tuple[float, float], other: tuple[float, float]) -> Line:
    """Return the line through two points."""
    each = (other[1] - one[1]) / (other[0] - one[0])
    return Line(fixed=max(0.0, one[1] - each * one[0]), each=each)


def _message_of_writer(seen: Mapping[Turn, Seen]) -> float:
    """Return what a message takes of the thread that publishes it.

    Without a worker nothing circulates, and publishers hardly ask whether it does.
    """
    return statistics.fmean(
        seen[turn].publisher_cpu / seen[turn].messages for turn in ADDS
    )


def _round_trip() -> float:
    """Return what an idle round trip takes beside the CPU time of both ends."""
    database: Any = import_module("django.db")
    with database.connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [(backend,)] = cursor.fetchall()
        process = psutil.Process(backend)
        took, cpu = [], time.process_time() + sum(process.cpu_times()[:2])
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter()
            cursor.execute("SELECT 1")
            took.append(time.perf_counter() - began)
        cpu = time.process_time() + sum(process.cpu_times()[:2]) - cpu
    return max(0.0, statistics.median(took) - cpu / ROUND_TRIPS)


def _ask(counter_ids: list[int]) -> float:
    """Return what it takes to ask which of the counters circulate, in CPU seconds."""
    circulation: Any = import_module("rollups.circulation")
    circulation.look_up(counter_ids)  # connects
    cpu = time.process_time()
    for _ in range(ASKS):
        circulation.look_up(counter_ids)
    return (time.process_time() - cpu) / ASKS


def _fold(counter_ids: list[int], size: int, each: int) -> tuple[float, float, float]:
    """Return what a fold of `size` counters takes: worker and PostgreSQL in CPU seconds, WAL.

    Many one after the other, so that reading the meters is no part of it.
    """
    folding: Any = import_module("rollups.folding")
    meter, found = Meter(), []
    for _ in range(FOLD_ROUNDS):
        filling.add_events_of_many(counter_ids, each)
        starts = range(0, len(counter_ids), size)
        meter.begin()
        cpu = time.process_time()
        for start in starts:
            folding.fold(counter_ids[start : start + size])
        cpu = time.process_time() - cpu
        cost = meter.end()
        taken = (cpu, cost.postgres_cpu_seconds, cost.wal_bytes)
        found.append([of_all / len(starts) for of_all in taken])
    # Medians: autovacuum may have been at work in one of them.
    worker, postgres, wal_bytes = map(statistics.median, zip(*found, strict=True))
    return worker, postgres, wal_bytes


def _messages(counter_ids: list[int]) -> dict[str, float]:
    """Return what a message takes whose counters have nothing pending, in CPU seconds."""
    tasks: Any = import_module("rollups.tasks")
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
        time.sleep(0.5)
        cost = meter.end()
        own = sum(main.cpu_times()[:2]) - before[1]
        return {
            "broker": (sum(process.cpu_times()[:2]) - before[0]) / MESSAGES,
            "consumer": own / MESSAGES,
            "worker": (cost.program_cpu_seconds - own) / MESSAGES,
            "postgres": cost.postgres_cpu_seconds / MESSAGES,
        }
