"""Valkey's INCR through Django's cache; nothing of it is durable."""

from __future__ import annotations

from django.core.cache import cache

TITLE = "cache.incr, not durable"
STEP_EVENTS = 1
BESIDE = ()


def setup(counters: int) -> None:
    for key in range(counters):
        cache.add(f"bench-{key}", 0, None)


def step(key: int) -> None:
    cache.incr(f"bench-{key}")
