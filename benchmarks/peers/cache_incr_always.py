"""The same on a Valkey with `appendfsync always`: each INCR is on the disk when answered."""

from __future__ import annotations

import os
from functools import cache

from django.core.cache.backends.redis import RedisCache

TITLE = "cache.incr, appendfsync always"
STEP_EVENTS = 1
BESIDE = ("durable_cache",)


def setup(counters: int) -> None:
    """Its server starts with each turn; so its counters are made at the first step."""


def step(key: int) -> None:
    name = f"bench-{key}"
    try:
        _cache().incr(name)
    except ValueError:
        _cache().add(name, 1, None)


@cache
def _cache() -> RedisCache:
    return RedisCache(os.environ["BENCH_DURABLE_CACHE"], {})
