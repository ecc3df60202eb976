"""Clients in processes of their own, each with one connection."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from itertools import cycle
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

from benchmarks.loads import Load
from benchmarks.waiting import wait_until

START_TIMEOUT_SECONDS = 120
WARM_UP_SECONDS = 0.3
# At a fixed rate: until connections are made, and what hurried warming up left is folded.
WARM_UP_AT_RATE_SECONDS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What every client of one turn is to do.

    `steps_per_second` is of all clients together; None is as fast as they can. A step that
    is late is timed from when it was due, so a stall counts for all whom it held up.
    """

    peer: str
    load: Load
    clients: int
    seconds: float
    steps_per_second: float | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """What one client did: when it ran, its CPU time, and how long each step took."""

    seconds: float
    cpu_seconds: float
    step_seconds: list[float]
    errors: int
    first_error: str = ""


def run(orders: Orders, *, meanwhile: AbstractContextManager[object]) -> list[Done]:
    """Let the clients count for some seconds, all at once; return what each did.

    `meanwhile` is entered when all are warm and wait, so that none of them is in its way, and
    left when the last one is done.
    """
    # Not fork: the runner's own connections must not be shared. The fork server has Django
    # loaded, so that sixteen clients do not each load it while the others wait.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.preload"])
    barrier, answers = context.Barrier(orders.clients + 1), context.Queue()
    processes = [
        context.Process(target=_client, args=(orders, number, barrier, answers))
        for number in range(orders.clients)
    ]
    for process in processes:
        process.start()
    wait_until(
        lambda: barrier.n_waiting == orders.clients,
        f"not all of {orders.clients} clients were ready",
        within_seconds=START_TIMEOUT_SECONDS,
        every_seconds=0.01,
    )
    with meanwhile:
        barrier.wait(START_TIMEOUT_SECONDS)
        patience = START_TIMEOUT_SECONDS + orders.seconds
        done = [answers.get(timeout=patience) for _ in processes]
    for process in processes:
        process.join()
    return done


def _client(
    orders: Orders, number: int, barrier: Barrier, answers: Queue[Done]
) -> None:
    os.environ.update(orders.variables)
    step = import_module(f"benchmarks.peers.{orders.peer}").step
    keys = cycle(orders.load.keys(seed=number))
    pause = orders.clients / orders.steps_per_second if orders.steps_per_second else 0.0
    # Warm up: connect, prepare statements, fill caches. Not faster than what follows, which
    # would begin with a queue otherwise.
    began = time.perf_counter()
    warm = began + (WARM_UP_AT_RATE_SECONDS if pause else WARM_UP_SECONDS)
    due = began + pause * number / orders.clients
    while time.perf_counter() < warm:
        if pause:
            time.sleep(max(0.0, due - time.perf_counter()))
        step(next(keys))
        due += pause
    barrier.wait(START_TIMEOUT_SECONDS)
    took, errors, first_error = [], 0, ""
    cpu, started = time.process_time(), time.perf_counter()
    before, end = started + pause * number / orders.clients, started + orders.seconds
    while before < end:
        if pause:
            time.sleep(max(0.0, before - time.perf_counter()))
        try:
            step(next(keys))
        except Exception as error:
            errors += 1
            first_error = first_error or repr(error)
        after = time.perf_counter()
        took.append(after - before)
        before = before + pause if pause else after
    answers.put(
        Done(
            time.perf_counter() - started,
            time.process_time() - cpu,
            took,
            errors,
            first_error,
        )
    )
