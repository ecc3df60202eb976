"""Look up namespaces in a cache of two seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from django.db import DEFAULT_DB_ALIAS

from counters.db import clock
from counters.errors import InvalidValue, NamespaceNotFound, OutsideAcceptWindow
from counters.models import NAMESPACE_PATTERN, Namespace
from counters.ttl_cache import Memory

NAMESPACE = re.compile(NAMESPACE_PATTERN)

_memory: Memory[str, Namespace] = Memory()


def get(name: object) -> Namespace:
    """Return the namespace as it was at most two seconds ago; raise NamespaceNotFound."""
    if not isinstance(name, str):
        raise InvalidValue("namespace", name, "the name of a namespace")
    known = _memory.get(name)
    if known is not None:
        return known
    # Such a name cannot exist, and PostgreSQL refuses some of them, such as a NUL.
    if not NAMESPACE.fullmatch(name):
        raise NamespaceNotFound(name)
    asked_at = datetime.now(UTC)
    try:
        found = (
            Namespace.objects.using(DEFAULT_DB_ALIAS)
            .annotate(read_at=clock.DatabaseClock())
            .get(name=name)
        )
    except Namespace.DoesNotExist as error:
        raise NamespaceNotFound(name) from error
    clock.compare(found.read_at, asked_at=asked_at)
    return _memory.keep(name, found)


def get_now(name: str, *, for_update: bool = False) -> Namespace:
    """Return the namespace as it is now; raise NamespaceNotFound.

    `for_update` locks it until the caller's transaction ends.
    """
    found = Namespace.objects.using(DEFAULT_DB_ALIAS).all()
    if for_update:
        # NO KEY: transactions that create counters in it do not wait.
        found = found.select_for_update(no_key=True)
    try:
        return found.get(name=name)
    except Namespace.DoesNotExist as error:
        forget_all()
        raise NamespaceNotFound(name) from error


def forget_all() -> None:
    """Discard all cached namespaces."""
    _memory.forget()


def check_event_time(
    namespace: Namespace, event_time: datetime, now: datetime, *, carried: bool = False
) -> None:
    """Raise OutsideAcceptWindow unless the namespace accepts an event of this time now.

    `carried`: the token contains the time, and a generation time would override it.
    """
    since, until = now - namespace.accept_past, now + namespace.accept_future
    if not since <= event_time <= until:
        raise OutsideAcceptWindow(event_time, since, until, carried=carried)
