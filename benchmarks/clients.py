"""Clients in processes of their own, each with one connection."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

START_TIMEOUT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Measured:
    """What one client did: steps, when it ran, and how long each step took (seconds)."""

    steps: int
    seconds: float
    cpu_seconds: float
    step_seconds: list[float]


def run(peer: str, *, clients: int, seconds: float) -> list[Measured]:
    """Let the clients count for some seconds, all at once; return what each did."""
    # Not fork: the runner's own connections must not be shared. The fork server has Django
    # loaded, so that sixteen clients do not each load it while the others wait.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.preload"])
    barrier, answers = context.Barrier(clients), context.Queue()
    processes = [
        context.Process(target=_client, args=(peer, seconds, barrier, answers))
        for _ in range(clients)
    ]
    for process in processes:
        process.start()
    measured = [answers.get(timeout=START_TIMEOUT_SECONDS + seconds) for _ in processes]
    for process in processes:
        process.join()
    return measured


def _client(
    peer: str, seconds: float, barrier: Barrier, answers: Queue[Measured]
) -> None:
    module = import_module(f"benchmarks.peers.{peer}")
    # Warm up: connect, prepare statements, fill caches.
    for _ in range(20):
        module.step()
    barrier.wait(START_TIMEOUT_SECONDS)
    took = []
    cpu, started = time.process_time(), time.perf_counter()
    before, end = started, started + seconds
    while before < end:
        module.step()
        after = time.perf_counter()
        took.append(after - before)
        before = after
    answers.put(Measured(len(took), before - started, time.process_time() - cpu, took))
