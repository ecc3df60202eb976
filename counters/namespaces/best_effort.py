"""Count in the shared cache only: fast, and not durable.

They are not durable, know no tokens, and may be lost whenever the cache is restarted or
runs full. A counter lives for its namespace's retention after its last add.
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
            # Not there: of several first adds at once, one makes it and all add to it.
            cache.add(key, 0, lifetime_seconds)
            count = cache.incr(key, delta)
        cache.touch(key, lifetime_seconds)
    return int(count)


def read(namespace: Namespace, name: str) -> int | None:
    """Return the count, None where there is no such counter; raise NoSharedCache."""
    with _shared_cache(namespace):
        count = cache.get(_key(namespace, name))
    return None if count is None else int(count)


def read_many(namespace: Namespace, names: Collection[str]) -> dict[str, int]:
    """Return the counts of those that are there, by name; raise NoSharedCache."""
    key_of = {name: _key(namespace, name) for name in names}
    with _shared_cache(namespace):
        counts = cache.get_many(key_of.values())
    return {name: int(counts[key]) for name, key in key_of.items() if key in counts}


def clear(namespace: Namespace, name: str) -> int | None:
    """Set an existing counter to 0; return what it was, None where there is none.

    Taken off, not overwritten: adds at the same time survive. Two clears at the same time
    may both take the count off.
    """
    count = read(namespace, name)
    if count:
        step = min(-count, CACHE_MAX)
        add(namespace, name, step)
        if step != -count:
            # From -2^63 it is further than a cache adds at once.
            add(namespace, name, -count - step)
    return count


def delete(namespace: Namespace, name: str) -> bool:
    """Forget the counter; False where there is none."""
    with _shared_cache(namespace):
        return bool(cache.delete(_key(namespace, name)))


@contextmanager
def _shared_cache(namespace: Namespace, delta: int = 0) -> Iterator[None]:
    """Turn every trouble with the cache into NoSharedCache."""
    # Each process has its own LocMemCache, and DummyCache keeps nothing: an add would be
    # lost not at some time but at once.
    if isinstance(caches[DEFAULT_CACHE_ALIAS], LocMemCache | DummyCache):
        raise NoSharedCache(namespace.name, "the cache that is set up is none")
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
    # Caches take no spaces and no long keys.
    digest = hashlib.sha256(name.encode()).hexdigest()[:40]
    return f"counters.best-effort.{namespace.pk}.{digest}"
