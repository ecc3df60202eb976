"""Why an add takes more CPU where many write, and who waits for a core; by writers.

A backend that is active and waits for nothing is on a core, or waits for one; who is idle is
in its caller, on a core or not.

Caches: processes on one core hand a token round, and each touches as much memory as it was
given before it hands it on. When what all of them touch is more than the machine's last
cache has for them, a turn takes several times as long, though each does the same.
"""

from __future__ import annotations

import os
import random
import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.model import writers
from benchmarks.scaling import filling

WRITERS = (4, 8, 16, 32, 48)
HEADS = (
    *("writers", "adds/s", "user us", "system us", "switches"),
    *("in caller", "for core", "for log", "for else"),
)
# Where backends are; those of writers of the pool that have nothing to do are idle as well.
WHERE = """
SELECT count(*) FILTER (WHERE wait_event IS NULL),
       count(*) FILTER (WHERE upper(wait_event) IN ('WALWRITE', 'WALSYNC')),
       count(*) FILTER (WHERE upper(wait_event) NOT IN ('WALWRITE', 'WALSYNC'))
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND state = 'active' AND pid <> pg_backend_pid()
"""
LOOK_EVERY_SECONDS = 0.05
WARM_UP_SECONDS, WARM_UP_SECONDS_EACH = 3.0, 0.1
# About what an add touches, in the caller's process and in its backend together.
TOUCHED_BYTES = 600 * 1024
PROCESSES = (1, 8, 16, 32, 64, 96)
TURNS = 20_000
CACHE_LINE, PAGE = 64, 4096


def show(seconds: float) -> None:
    filling.create_counters(writers.COUNTERS)
    console = Console(width=88)
    adds = Table(
        title="An add by writers, without triggers",
        caption="CPU of the caller and its context switches, of each add; and where the"
        " writers are: in their caller, or in PostgreSQL, on a core or waiting for a core,"
        " for the log, for anything else.",
    )
    for head in HEADS:
        adds.add_column(head, justify="right")
    with writers.started(max(WRITERS)) as pool:
        for count in WRITERS:
            adds.add_row(
                str(count), *_adds(pool, count, max(1.0, seconds / len(WRITERS)))
            )
    console.print(adds)
    caches = Table(title=f"{TOUCHED_BYTES // 1024} KiB a process, in turns on one core")
    for head in ("processes", "MiB together", "us a turn"):
        caches.add_column(head, justify="right")
    for count in PROCESSES:
        together = count * TOUCHED_BYTES / 2**20
        caches.add_row(str(count), f"{together:.0f}", f"{_ring(count) * 1e6:.0f}")
    console.print(caches)


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a writer took."""

    adds: int
    user_seconds: float
    system_seconds: float
    switches: int


def _adds(pool: ProcessPoolExecutor, count: int, seconds: float) -> list[str]:
    begins_at = time.monotonic() + WARM_UP_SECONDS + WARM_UP_SECONDS_EACH * count
    tasks = [
        pool.submit(_write, number, begins_at, begins_at + seconds)
        for number in range(count)
    ]
    on_core, for_log, for_else = _look(begins_at, begins_at + seconds)
    taken = [task.result() for task in tasks]
    adds = sum(one.adds for one in taken)
    user = sum(one.user_seconds for one in taken) / adds * 1e6
    system = sum(one.system_seconds for one in taken) / adds * 1e6
    switches = sum(one.switches for one in taken) / adds
    return [
        f"{adds / seconds:,.0f}",
        f"{user:.0f}",
        f"{system:.0f}",
        f"{switches:.1f}",
        f"{count - on_core - for_log - for_else:.1f}",
        f"{on_core:.1f}",
        f"{for_log:.1f}",
        f"{for_else:.1f}",
    ]


def _look(begins_at: float, ends_at: float) -> tuple[float, float, float]:
    """Return how many backends waited for nothing but a core, for the log, for another thing."""
    writers.sleep_until(begins_at)
    seen: list[tuple[int, int, int]] = []
    while time.monotonic() < ends_at:
        seen += filling.execute(WHERE)
        time.sleep(LOOK_EVERY_SECONDS)
    on_core, for_log, for_else = map(statistics.fmean, zip(*seen, strict=True))
    return on_core, for_log, for_else


def _write(number: int, begins_at: float, ends_at: float) -> _Taken:
    recording: Any = import_module("counters.events")
    settings: Any = import_module("django.conf").settings
    settings.ROLLUPS_TRIGGER = "off"
    chance = random.Random(number)
    recording.add(namespace="bench", name="c0")
    writers.sleep_until(begins_at)
    before, adds = resource.getrusage(resource.RUSAGE_SELF), 0
    while time.monotonic() < ends_at:
        recording.add(namespace="bench", name=f"c{chance.randrange(writers.COUNTERS)}")
        adds += 1
    after = resource.getrusage(resource.RUSAGE_SELF)
    return _Taken(
        adds,
        after.ru_utime - before.ru_utime,
        after.ru_stime - before.ru_stime,
        after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw,
    )


def _ring(count: int) -> float:
    """Return the seconds of a turn of one of `count` processes."""
    cores = os.sched_getaffinity(0)
    # All on one core, so that one runs while the others wait. Children keep it.
    os.sched_setaffinity(0, {max(cores)})
    pipes = [os.pipe() for _ in range(count)]
    rounds = max(10, TURNS // count)
    children = []
    try:
        for number in range(1, count):
            child = os.fork()
            if child == 0:
                try:
                    _hand_round(
                        pipes[number][0], pipes[(number + 1) % count][1], rounds
                    )
                finally:
                    os._exit(0)
            children.append(child)
        memory = memoryview(bytearray(os.urandom(TOUCHED_BYTES)))
        # The first round is no turn like the others: all make their memory.
        for number in range(rounds):
            if number == 1:
                began = time.perf_counter()
            _touch(memory)
            os.write(pipes[1 % count][1], b".")
            os.read(pipes[0][0], 1)
        return (time.perf_counter() - began) / (rounds - 1) / count
    finally:
        for child in children:
            os.waitpid(child, 0)
        for end in (end for pipe in pipes for end in pipe):
            os.close(end)
        os.sched_setaffinity(0, cores)


def _hand_round(read: int, write: int, rounds: int) -> None:
    memory = memoryview(bytearray(os.urandom(TOUCHED_BYTES)))
    for _ in range(rounds):
        os.read(read, 1)
        _touch(memory)
        os.write(write, b".")


def _touch(memory: memoryview) -> None:
    """Read a byte of each line; from page to page, which no core reads ahead."""
    for start in range(0, PAGE, CACHE_LINE):
        memory[start::PAGE].tobytes()
