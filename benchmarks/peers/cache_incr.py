"""Valkey's INCR through Django's cache; nothing of it is durable."""

from __future__ import annotations

from django.core.cache import cache

TITLE = "cache.incr on Valkey (not durable)"
STEP_EVENTS = 1
WITH_WORKER = False


def setup() -> None:
    cache.add("bench", 0, None)


def step() -> None:
    cache.incr("bench")
