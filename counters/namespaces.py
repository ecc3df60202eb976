"""Namespaces as the hot path needs them: from memory, a few seconds old at most."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime

from counters.errors import InvalidValue, NamespaceNotFound, OutsideAcceptWindow
from counters.models import NAMESPACE_PATTERN, Namespace

# Changes of a namespace reach every process within this many seconds.
REMEMBERED_SECONDS = 2.0
NAMESPACE = re.compile(NAMESPACE_PATTERN)


@dataclass(frozen=True, slots=True)
class _Remembered:
    namespace: Namespace
    until: float


_remembered: dict[str, _Remembered] = {}


def get(name: object) -> Namespace:
    """Return the namespace, at most REMEMBERED_SECONDS old; raise NamespaceNotFound."""
    if not isinstance(name, str):
        raise InvalidValue("namespace", name, "the name of a namespace")
    known = _remembered.get(name)
    if known is not None and time.monotonic() < known.until:
        return known.namespace
    # No such name can be there, and some of them PostgreSQL cannot even be asked for.
    if not NAMESPACE.fullmatch(name):
        raise NamespaceNotFound(name)
    try:
        namespace = Namespace.objects.get(name=name)
    except Namespace.DoesNotExist as error:
        _remembered.pop(name, None)
        raise NamespaceNotFound(name) from error
    _remembered[name] = _Remembered(namespace, time.monotonic() + REMEMBERED_SECONDS)
    return namespace


def forget_all() -> None:
    """Read every namespace anew at its next use."""
    _remembered.clear()


def check_event_time(namespace: Namespace, event_time: datetime, now: datetime) -> None:
    """Raise OutsideAcceptWindow unless the namespace takes an event of that time now."""
    since, until = now - namespace.accept_past, now + namespace.accept_future
    if not since <= event_time <= until:
        raise OutsideAcceptWindow(event_time, since, until)
