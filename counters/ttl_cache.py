"""Cache values in memory for two seconds."""

from __future__ import annotations

import time
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

# Changes of namespaces, grants and tokens reach every process within this many seconds.
REMEMBERED_SECONDS = 2.0
# A flood of different keys, say of made-up tokens, must not fill the memory.
MOST_ENTRIES = 10_000


class Memory(Generic[K, V]):
    """Cache values for REMEMBERED_SECONDS. Thread-safe, because each step is one dict operation."""

    def __init__(self) -> None:
        self._kept: dict[K, tuple[V, float]] = {}

    def get(self, key: K) -> V | None:
        kept = self._kept.get(key)
        if kept is None or time.monotonic() >= kept[1]:
            return None
        return kept[0]

    def keep(self, key: K, value: V) -> V:
        if len(self._kept) >= MOST_ENTRIES:
            self._kept = {}
        self._kept[key] = (value, time.monotonic() + REMEMBERED_SECONDS)
        return value

    def forget(self) -> None:
        self._kept = {}
