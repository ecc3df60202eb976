"""Celery workers of a number of processes, and waiting until they have folded it all."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import redis

from benchmarks import programs
from benchmarks.programs import Running
from benchmarks.scaling import filling
from benchmarks.waiting import wait_until

PATIENCE_SECONDS = 120
LOOK_EVERY_SECONDS = 0.02


@contextmanager
def working(processes: int, *, counter_ids: Sequence[int]) -> Iterator[int]:
    """Run a worker that has folded something already; yield its process id."""
    with programs.workers(Running(), processes=processes) as running:
        filling.add_events_of_many(counter_ids, 1)
        ask(counter_ids)
        wait_until_folded()
        yield running.pids["worker"]


def ask(counter_ids: Sequence[int]) -> None:
    """Enqueue the counters, as a trigger does: 500 a message."""
    trigger: Any = import_module("rollups.trigger.request")
    trigger.request(counter_ids)


def wait_until_folded() -> None:
    """Return when nothing is pending. Looks at the queue first, which costs little."""
    settings: Any = import_module("django.conf").settings
    with redis.Redis.from_url(settings.CELERY_BROKER_URL) as broker:

        def all_is_folded() -> bool:
            if broker.llen("rollups"):
                return False
            [(pending,)] = filling.execute(
                "SELECT EXISTS (SELECT FROM counters_lastwrite)"
            )
            return not pending

        # What was asked for a moment ago is on its way.
        time.sleep(LOOK_EVERY_SECONDS)
        wait_until(
            all_is_folded,
            "not folded",
            within_seconds=PATIENCE_SECONDS,
            every_seconds=LOOK_EVERY_SECONDS,
        )
