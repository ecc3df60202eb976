"""Find the busiest counters by comparing two samples of their rollups."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from counters.db.statements import fetch
from counters.models import Namespace
from rollups.monitor import status
from rollups.monitor.status import Status

# A sample has this many counters: those written last. If more counters are written between two
# samples, busy ones may be missing.
LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A counter in one sample."""

    counter_id: int
    namespace: str
    name: str
    count: int
    events: int
    pending: bool
    last_write_at: datetime


@dataclass(frozen=True, slots=True)
class Look:
    """The system at one moment."""

    at: float
    status: Status
    written: int
    counters: dict[int, Seen]


@dataclass(frozen=True, slots=True)
class Busy:
    """A counter, and its folded events per second between two samples."""

    counter: Seen
    events_per_second: float


@dataclass(frozen=True, slots=True)
class Top:
    """The busiest counters, busiest first, and the system's rates between two samples."""

    status: Status
    adds_per_second: float
    folds_per_second: float
    busiest: list[Busy]


def look(namespace: Namespace | None = None) -> Look:
    """Take a sample, with a few index look-ups for any number of counters."""
    rows = fetch(
        connection,
        "rollups",
        "list_busiest",
        most=LOOKED_AT,
        namespace_id=namespace.pk if namespace else None,
    )
    [(written,)] = fetch(connection, "rollups", "measure_writes")
    seen = [
        Seen(counter_id, its_namespace, name, int(total), events, pending, last_write)
        for counter_id, its_namespace, name, total, events, pending, last_write in rows
    ]
    return Look(
        time.monotonic(),
        status.measure(),
        written,
        {one.counter_id: one for one in seen},
    )


def compare(before: Look, now: Look, *, most: int) -> Top:
    """Return the rates between two samples; a new counter counts from 0."""
    seconds = max(now.at - before.at, 1e-6)
    busy = [
        Busy(one, (one.events - _events_before(before, one)) / seconds)
        for one in now.counters.values()
    ]
    busy.sort(key=lambda one: one.counter.last_write_at, reverse=True)
    busy.sort(key=lambda one: one.events_per_second, reverse=True)
    return Top(
        now.status,
        max(0, now.written - before.written) / seconds,
        sum(one.events_per_second for one in busy),
        busy[:most],
    )


def _events_before(before: Look, one: Seen) -> int:
    known = before.counters.get(one.counter_id)
    if known is not None:
        return known.events
    # Not in the earlier sample: its rate is unknown, unless the counter is new.
    return one.events if len(before.counters) >= LOOKED_AT else 0
