"""Profiles a step that this process itself takes, again and again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from benchmarks import meters
from benchmarks.profile import backends, sampling, showing


def profile(
    title: str, step: Callable[[], None], *, seconds: float, events: int = 1
) -> None:
    """Print where the CPU goes; of each event, where a step has several.

    First without the sampler, for the figures, then with it, for the shares.
    """
    _run(step, seconds / 4)  # warm up
    postgres, wal = backends.cpu_seconds(), meters.wal_position()
    cpu, began = time.process_time(), time.perf_counter()
    steps = _run(step, seconds / 2)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - began
    wal = meters.wal_position() - wal
    spent = backends.since(postgres)
    showing.show(
        title,
        steps=steps * events,
        python_seconds=cpu,
        shares=_sampled(step, seconds),
        postgres_seconds=spent,
        wall_seconds=wall,
    )
    print(f"WAL: {wal / steps / events:.0f} bytes a step")


def _run(step: Callable[[], None], seconds: float) -> int:
    steps, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        step()
        steps += 1
    return steps


def _sampled(step: Callable[[], None], seconds: float) -> dict[str, float]:
    shares: dict[str, float] = {}

    def watch() -> None:
        shares.update(sampling.sample(os.getpid(), seconds=seconds))

    watcher = threading.Thread(target=watch)
    watcher.start()
    while watcher.is_alive():
        step()
    return shares
