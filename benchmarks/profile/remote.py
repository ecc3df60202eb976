"""Profiles requests that the web server answers, one after the other."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import psutil

from benchmarks.peers.http import Sender
from benchmarks.profile import backends, sampling, showing
from benchmarks.programs import SETTLE_SECONDS, Running, web


def profile(
    title: str,
    requests: Iterator[tuple[str, bytes]],
    *,
    seconds: float,
    events: int = 1,
) -> None:
    """Print where the server's CPU goes; of each event, where a request has several."""
    # One process, so that it can be sampled.
    os.environ["WEB_WORKERS"] = "1"
    running = Running()
    with web(running):
        os.environ |= running.variables
        time.sleep(SETTLE_SECONDS)  # it listens before its process is there
        [worker] = psutil.Process(running.pids["web"]).children()
        sender = Sender()

        def run(duration: float) -> int:
            count, until = 0, time.perf_counter() + duration
            while time.perf_counter() < until:
                sender.post(*next(requests), token=os.environ["BENCH_TOKEN"])
                count += 1
            return count

        run(seconds / 4)  # warm up
        postgres, before = backends.cpu_seconds(), worker.cpu_times()
        began = time.perf_counter()
        steps = run(seconds / 2)
        wall, after = time.perf_counter() - began, worker.cpu_times()
        spent = backends.since(postgres)
        shares: dict[str, float] = {}
        watcher = threading.Thread(
            target=lambda: shares.update(sampling.sample(worker.pid, seconds=seconds))
        )
        watcher.start()
        while watcher.is_alive():
            run(0.1)
    showing.show(
        title,
        steps=steps * events,
        python_seconds=after.user + after.system - before.user - before.system,
        shares=shares,
        postgres_seconds=spent,
        wall_seconds=wall,
    )
