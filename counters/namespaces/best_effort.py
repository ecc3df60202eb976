"""Store best-effort counts in the shared cache only: fast, but not durable.

The counts have no tokens. They are lost when the cache restarts, and may be lost when it is
full. A counter expires after the retention of its namespace, counted from its last add.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.core.cache import DEFAULT_CACHE_ALIAS, cache, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache

from counters.errors import CountersError, InvalidValue, NoSharedCache
from counters.models import CounterType, Namespace

CACHE_MAX = 2**63 - 1


def applies_to(namespace: Namespace) -> bool:
    return namespace.counter_type == CounterType.BEST_EFFORT


def add(namespace: Namespace, name: str, delta: int) -> int:
    """Add to the counter and return its count; raise NoSharedCache."""
    key, lifetime_seconds = _key(namespace, name), namespace.retention.total_seconds()
    with _shared_cache(namespace, delta):
        try:
            count = cache.incr(key, delta)
        except ValueError:
            # The key is missing. Of several first adds at once, one creates it, and all add to it.
            cache.add(key, 0, lifetime_seconds)
            count = cache.incr(key, delta)
        cache.touch(key, lifetime_seconds)
    return int(count)


def read(namespace: Namespace, name: str) -> int | None:
    """Return the count, or None if there is no such counter; raise NoSharedCache."""
    with _shared_cache(namespace):
        count = cache.get(_key(namespace, name))
    return None if count is None else int(count)


def read_many(namespace: Namespace, names: Collection[str]) -> dict[str, int]:
    """Return the counts of the existing counters, by name; raise NoSharedCache."""
    key_of = {name: _key(namespace, name) for name in names}
    with _shared_cache(namespace):
        counts = cache.get_many(key_of.values())
    return {name: int(counts[key]) for name, key in key_of.items() if key in counts}


def clear(namespace: Namespace, name: str) -> int | None:
    """Subtract a counter's count from it; return that count, or None if there is no counter.

    It is not set to 0, so adds at the same time survive. Two clears at the same time may both
    subtract the count.
    """
    count = read(namespace, name)
    if count:
        step = min(-count, CACHE_MAX)
        add(namespace, name, step)
        if step != -count:
            # -2^63 is more than a cache subtracts at once.
            add(namespace, name, -count - step)
    return count


def delete(namespace: Namespace, name: str) -> bool:
    """Delete the counter; return False if there is none."""
    with _shared_cache(namespace):
        return bool(cache.delete(_key(namespace, name)))


@contextmanager
def _shared_cache(namespace: Namespace, delta: int = 0) -> Iterator[None]:
    """Turn every error of the cache into NoSharedCache."""
    # Each process has its own LocMemCache, and DummyCache stores nothing: every add would be
    # lost at once.
    if isinstance(caches[DEFAULT_CACHE_ALIAS], LocMemCache | DummyCache):
        raise NoSharedCache(
            namespace.name, "the configured cache is not shared between processes"
        )
    try:
        yield
    except CountersError:
        raise
    except Exception as error:
        if "overflow" in str(error):
            raise InvalidValue(
                "delta", delta, "within what a cache can count, ±2^63"
            ) from error
        raise NoSharedCache(
            namespace.name, f"it did not answer ({type(error).__name__})"
        ) from error


def _key(namespace: Namespace, name: str) -> str:
    # Caches refuse spaces and long keys.
    digest = hashlib.sha256(name.encode()).hexdigest()[:40]
    return f"counters.best-effort.{namespace.pk}.{digest}"
