"""Clients of the checkout that PYTHONPATH names, in turns; `against` starts it.

For each line on its standard input, a number of seconds, they take their steps for so
long, all at once; it prints what each spent.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from uuid import uuid4

import django
import psutil

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402

from counters import events as record  # noqa: E402
from rollups import counts  # noqa: E402

MANY, BATCH = 100_000, 1_000
INSERT = "INSERT INTO bench_log VALUES (1, gen_random_uuid(), now(), 1)"
INSERT_MANY = (
    "INSERT INTO bench_log SELECT * FROM unnest"
    "(%s::bigint[], %s::uuid[], %s::timestamptz[], %s::bigint[])"
)
SELECT = "SELECT total FROM rollups_rollup WHERE counter_id = %s"


def _add_hot() -> Callable[[], object]:
    return lambda: record.add(namespace="bench", name="c0")


def _add_spread() -> Callable[[], object]:
    number = _numbers()
    return lambda: record.add(namespace="bench", name=f"c{next(number)}")


def _add_without_trigger() -> Callable[[], object]:
    settings.ROLLUPS_TRIGGER = "off"
    return _add_hot()


def _add_with_token() -> Callable[[], object]:
    return lambda: record.add(namespace="bench", name="c0", token=str(uuid4()))


def _add_batch() -> Callable[[], object]:
    batch = [record.NewEvent("bench", f"c{i}") for i in range(BATCH)]
    return lambda: record.add_many(batch)


def _read() -> Callable[[], object]:
    number = _numbers()
    return lambda: counts.get(namespace="bench", name=f"c{next(number)}")


def _bare_insert() -> Callable[[], object]:
    cursor = connection.connection.cursor()
    return lambda: cursor.execute(INSERT, prepare=True)


def _bare_insert_batch() -> Callable[[], object]:
    cursor = connection.connection.cursor()

    def step() -> None:
        numbers, now = range(BATCH), datetime.now(UTC)
        tokens = [uuid4() for _ in numbers]
        values = [list(numbers), tokens, [now] * BATCH, [1] * BATCH]
        cursor.execute(INSERT_MANY, values, prepare=True)

    return step


def _bare_select() -> Callable[[], object]:
    cursor, number = connection.connection.cursor(), _numbers()
    return lambda: cursor.execute(SELECT, [next(number)], prepare=True).fetchall()


def _django_select() -> Callable[[], object]:
    number = _numbers()

    def step() -> None:
        with connection.cursor() as cursor:
            cursor.execute(SELECT, [next(number)])
            cursor.fetchall()

    return step


# Events of a step, and what makes the step.
STEPS: dict[str, tuple[int, Callable[[], Callable[[], object]]]] = {
    "add-hot": (1, _add_hot),
    "add-spread": (1, _add_spread),
    "add-without-trigger": (1, _add_without_trigger),
    "add-token": (1, _add_with_token),
    "add-batch": (BATCH, _add_batch),
    "read": (1, _read),
    "bare-insert": (1, _bare_insert),
    "bare-insert-batch": (BATCH, _bare_insert_batch),
    "bare-select": (1, _bare_select),
    "django-select": (1, _django_select),
}


def _numbers() -> itertools.cycle[int]:
    return itertools.cycle(random.sample(range(MANY), MANY))


def main() -> None:
    """Fork the clients, so that Django is loaded once, and let them take turns."""
    name, clients = sys.argv[1], int(sys.argv[2])
    ends = []
    for _ in range(clients):
        here, there = multiprocessing.Pipe()
        multiprocessing.get_context("fork").Process(
            target=_client, args=(name, there), daemon=True
        ).start()
        ends.append(here)
    for end in ends:
        end.recv()
    print("[]", flush=True)
    for line in sys.stdin:
        for end in ends:
            end.send(float(line))
        print(json.dumps([end.recv() for end in ends]), flush=True)


def _client(name: str, coordinator: Connection) -> None:
    connection.ensure_connection()
    events, make = STEPS[name]
    step = make()
    for _ in range(30 if events == 1 else 8):
        step()  # prepare statements, fill caches
    backend = psutil.Process(connection.connection.info.backend_pid)
    coordinator.send(None)
    while True:
        coordinator.send(_turn(step, events, coordinator.recv(), backend))


def _turn(
    step: Callable[[], object], events: int, seconds: float, backend: psutil.Process
) -> dict[str, float]:
    took, cpu, backend_cpu = [], time.process_time(), _cpu(backend)
    began = before = time.perf_counter()
    while before < began + seconds:
        step()
        after = time.perf_counter()
        took.append(after - before)
        before = after
    return {
        "events": len(took) * events,
        "seconds": before - began,
        "client_cpu": time.process_time() - cpu,
        "backend_cpu": _cpu(backend) - backend_cpu,
        "p50": sorted(took)[len(took) // 2],
    }


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
