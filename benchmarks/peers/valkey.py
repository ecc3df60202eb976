"""Counting in Valkey: `cache.incr`, and increments that a Celery task writes down.

The buffered peer is the scheme of a well-known error tracker: a hash with the increments
of each row, a sorted set of the rows that wait, and tasks that take the increments and
update the rows. A crash of Valkey or of a worker loses acknowledged increments.
"""

from __future__ import annotations

import os
import threading
import time
from functools import cache
from typing import Any

import django

django.setup()

import redis  # noqa: E402
from celery import Celery  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.cache import cache as default_cache  # noqa: E402
from django.core.cache.backends.redis import RedisCache  # noqa: E402
from django.db.models import F  # noqa: E402

from benchmarks.peers import Way  # noqa: E402
from benchmarks.plain.models import PlainCounter, create_table  # noqa: E402

FLUSH_EVERY_SECONDS = 1.0
ROWS_A_TASK = 100
PENDING = "buffer:pending"
EXPIRE_SECONDS = 3600
_own = threading.local()

# Not the current app: that is the project's, whose triggers look for it.
app = Celery(
    "buffering", broker=os.environ.get("CELERY_BROKER_URL"), set_as_current=False
)
app.conf.update(
    task_default_queue="buffering",
    task_ignore_result=True,
    beat_schedule={
        "flush": {
            "task": "buffering.flush",
            "schedule": FLUSH_EVERY_SECONDS,
            "options": {"expires": FLUSH_EVERY_SECONDS},
        }
    },
)


def client() -> Any:
    """Return this thread's client: threads that make one at once must not share it."""
    if not hasattr(_own, "client"):
        _own.client = redis.Redis.from_url(settings.CACHES["default"]["LOCATION"])
    return _own.client


def buffered(key: int) -> None:
    with client().pipeline(transaction=False) as pipe:
        pipe.hincrby(f"buffer:{key}", "total", 1)
        pipe.expire(f"buffer:{key}", EXPIRE_SECONDS)
        pipe.zadd(PENDING, {str(key): time.time()})
        pipe.execute()


@app.task(name="buffering.flush")
def flush() -> None:
    """Send the rows that wait to tasks, a hundred each."""
    rows: list[bytes] = client().zrange(PENDING, 0, -1)
    waiting = [int(key) for key in rows]
    for first in range(0, len(waiting), ROWS_A_TASK):
        apply_increments.delay(waiting[first : first + ROWS_A_TASK])


@app.task(name="buffering.apply")
def apply_increments(keys: list[int]) -> None:
    """Take the increments of each row and add them."""
    for key in keys:
        with client().pipeline(transaction=True) as pipe:
            pipe.hget(f"buffer:{key}", "total")
            pipe.delete(f"buffer:{key}")
            pipe.zrem(PENDING, key)
            taken, *_ = pipe.execute()
        if taken:
            PlainCounter._default_manager.filter(name=f"c{key}").update(
                total=F("total") + int(taken)
            )


def _create_keys(counters: int) -> None:
    for key in range(counters):
        default_cache.add(f"bench-{key}", 0, None)


def cache_incr(key: int) -> None:
    default_cache.incr(f"bench-{key}")


def cache_incr_always(key: int) -> None:
    """Increment in a Valkey with `appendfsync always`: durable when it answers."""
    name = f"bench-{key}"
    try:
        _durable_cache().incr(name)
    except ValueError:
        _durable_cache().add(name, 1, None)


@cache
def _durable_cache() -> RedisCache:
    return RedisCache(os.environ["BENCH_DURABLE_CACHE"], {})


def _create_nothing(counters: int) -> None:
    """Do nothing: the server starts with each turn, the first step creates the key."""


WAYS = {
    "cache_incr": Way(
        title="cache.incr, not durable", setup=_create_keys, step=cache_incr
    ),
    "cache_incr_always": Way(
        title="cache.incr, appendfsync always",
        setup=_create_nothing,
        step=cache_incr_always,
        programs=("durable_cache",),
    ),
    "buffered": Way(
        title="buffered, not durable",
        setup=create_table,
        step=buffered,
        programs=("buffer_worker",),
    ),
}
