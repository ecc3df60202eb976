"""Buffered increments: a hash in Valkey, and a Celery task that applies it each second."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from benchmarks import buffering
from benchmarks.plain.models import create_table

TITLE = "buffered, not durable"
STEP_EVENTS = 1
BESIDE = ("buffer_worker",)
EXPIRE_SECONDS = 3600


def setup(counters: int) -> None:
    create_table(counters)


def step(key: int) -> None:
    with _client().pipeline(transaction=False) as pipe:
        pipe.hincrby(f"buffer:{key}", "total", 1)
        pipe.expire(f"buffer:{key}", EXPIRE_SECONDS)
        pipe.zadd(buffering.PENDING, {str(key): time.time()})
        pipe.execute()


@cache
def _client() -> Any:
    return buffering.client()
