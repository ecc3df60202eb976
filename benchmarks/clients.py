"""Clients that count at full speed or at a fixed rate: threads in several processes."""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
import time
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate, cycle
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from typing import Literal

from benchmarks.peers.registry import WAYS
from benchmarks.programs import wait_until

START_TIMEOUT_SECONDS = 120
WARM_UP_SECONDS = 0.5
# At a fixed rate, long enough to fold what the start left.
WARM_UP_AT_RATE_SECONDS = 4.0
# A client draws its keys before it starts, and repeats them.
DRAWN = 50_000
ZIPF_EXPONENT = 1.1


@dataclass(frozen=True, slots=True)
class Load:
    """The number of counters, and how writes spread over them."""

    counters: int
    spread: Literal["hot", "uniform", "zipf"]

    def keys(self, *, seed: int) -> Sequence[int]:
        """Return the numbers of the counters to write, in order."""
        chance = random.Random(seed)
        if self.spread == "hot":
            return [0]
        if self.spread == "uniform":
            return [chance.randrange(self.counters) for _ in range(DRAWN)]
        sums = _zipf_sums(self.counters)
        return [bisect(sums, chance.random() * sums[-1]) for _ in range(DRAWN)]

    @property
    def words(self) -> str:
        return "hot" if self.spread == "hot" else f"{self.counters:,} {self.spread}"


HOT = Load(1, "hot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """One turn: the peer, the load, the clients and the time.

    `processes` share the clients as threads: a web server of four processes with four
    threads each has sixteen writers. `steps_per_second` is the rate of all clients together; None means full speed. At a fixed
    rate, the duration of a step is measured from the time at which it was due. So a stall
    makes every step longer that it delays.
    """

    peer: str
    load: Load
    clients: int
    processes: int
    seconds: float
    steps_per_second: float | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """The steps of one client: how long each took, its key and its end, and the errors."""

    seconds: float
    step_seconds: list[float]
    # Of the clock `time.perf_counter`, which all processes of a machine share.
    ended: list[tuple[int, float]]
    errors: int
    first_error: str = ""


@dataclass(slots=True)
class Turn:
    """The clients of a turn, and the CPU time of their processes."""

    clients: list[Done] = field(default_factory=list)
    cpu_seconds: float = 0.0

    @property
    def steps_per_second(self) -> float:
        return sum(len(one.step_seconds) / one.seconds for one in self.clients)


def run(orders: Orders, *, meanwhile: AbstractContextManager[object]) -> Turn:
    """Run the clients at the same time; return their steps.

    Enters `meanwhile` when all clients are warm and wait, and leaves it after the last
    one is done.
    """
    # Not fork: the runner's own connections must not be shared. The fork server has Django
    # loaded, so that sixteen clients do not each load it while the others wait.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.clients"])
    processes = min(orders.processes, orders.clients)
    everybody = orders.clients + processes
    barrier, answers = context.Barrier(everybody + 1), context.Queue()
    started = [
        context.Process(
            target=_process,
            args=(orders, range(i, orders.clients, processes), barrier, answers),
        )
        for i in range(processes)
    ]
    for process in started:
        process.start()
    wait_until(
        lambda: barrier.n_waiting == everybody or barrier.broken,
        f"not all of {orders.clients} clients were ready",
        within_seconds=START_TIMEOUT_SECONDS,
        every_seconds=0.01,
    )
    turn = Turn()
    with meanwhile:
        barrier.wait(START_TIMEOUT_SECONDS)
        patience = START_TIMEOUT_SECONDS + orders.seconds
        for _ in started:
            cpu_seconds, done = answers.get(timeout=patience)
            turn.cpu_seconds += cpu_seconds
            turn.clients += done
    for process in started:
        process.join()
    return turn


def _process(
    orders: Orders,
    numbers: Sequence[int],
    barrier: Barrier,
    answers: Queue[tuple[float, list[Done]]],
) -> None:
    os.environ.update(orders.variables)
    step = WAYS[orders.peer].step
    done: list[Done] = []
    threads = [
        threading.Thread(target=_client, args=(orders, step, number, barrier, done))
        for number in numbers
    ]
    for thread in threads:
        thread.start()
    barrier.wait(START_TIMEOUT_SECONDS)
    cpu = time.process_time()
    for thread in threads:
        thread.join()
    answers.put((time.process_time() - cpu, done))


def _client(
    orders: Orders,
    step: Callable[[int], object],
    number: int,
    barrier: Barrier,
    done: list[Done],
) -> None:
    keys = cycle(orders.load.keys(seed=number))
    pause = orders.clients / orders.steps_per_second if orders.steps_per_second else 0.0
    # Warm up: connect, prepare statements, fill caches. Not faster than the turn, or the
    # turn would start with a queue.
    began = time.perf_counter()
    warm = began + (WARM_UP_AT_RATE_SECONDS if pause else WARM_UP_SECONDS)
    due = began + pause * number / orders.clients
    while time.perf_counter() < warm:
        if pause:
            time.sleep(max(0.0, due - time.perf_counter()))
        try:
            step(next(keys))
        except Exception:
            # The others need not wait for this client.
            barrier.abort()
            raise
        due += pause
    barrier.wait(START_TIMEOUT_SECONDS)
    took, ended, errors, first_error = [], [], 0, ""
    started = time.perf_counter()
    before, end = started + pause * number / orders.clients, started + orders.seconds
    while before < end:
        if pause:
            time.sleep(max(0.0, before - time.perf_counter()))
        key = next(keys)
        try:
            step(key)
        except Exception as error:
            errors += 1
            first_error = first_error or repr(error)
        after = time.perf_counter()
        took.append(after - before)
        ended.append((key, after))
        before = before + pause if pause else after
    seconds = time.perf_counter() - started
    done.append(Done(seconds, took, ended, errors, first_error))


@cache
def _zipf_sums(counters: int) -> list[float]:
    return list(accumulate((i + 1) ** -ZIPF_EXPONENT for i in range(counters)))
