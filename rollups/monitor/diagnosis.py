"""Diagnose counters: latest events, pending events, and why they wait."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connection

from counters.db.statements import fetch
from counters.durations import format_duration
from counters.models import LastWrite
from rollups import conf
from rollups.models import Failure, Process
from rollups.monitor import status
from rollups.monitor.heartbeat import ALIVE_WITHIN, WATCH

HOURS = 24
HOUR = timedelta(hours=1)
LATEST = 20


@dataclass(frozen=True, slots=True)
class LatestEvent:
    """One event, for display."""

    event_time: datetime
    delta: int
    token: UUID
    is_folded: bool


@dataclass(frozen=True, slots=True)
class CounterState:
    """One counter, for display in a list."""

    count: int
    as_of: datetime
    pending: bool
    # None if nothing is pending.
    lag: timedelta | None
    # The sums of the last 24 hours, the oldest first.
    day: list[Decimal]

    @property
    def is_late(self) -> bool:
        """Return whether its lag deserves a warning."""
        limit = status.default_limits().warn_lag_seconds
        return self.lag is not None and self.lag.total_seconds() >= limit


def read_states(counter_ids: Collection[int]) -> dict[int, CounterState]:
    """Return counts and lags of counters; omit deleted counters."""
    lags = measure_lags(counter_ids)
    day = read_last_day(counter_ids)
    rows = fetch(connection, "rollups", "read_counters", counter_ids=list(counter_ids))
    return {
        pk: CounterState(
            int(count), as_of, pending, lags.get(pk) if pending else None, day[pk]
        )
        for pk, _, count, as_of, pending, _ in rows
    }


def read_latest_events(counter_id: int, *, most: int = LATEST) -> list[LatestEvent]:
    """Return a counter's latest events, the newest first."""
    rows = fetch(
        connection,
        "rollups",
        "read_latest_events",
        counter_id=counter_id,
        most=most,
    )
    return [LatestEvent(*row) for row in rows]


def read_last_writes(counter_id: int, *, most: int = LATEST) -> list[LastWrite]:
    """Return a counter's last writes, the one that has waited longest first."""
    return list(
        LastWrite.objects.filter(counter_id=counter_id).order_by("pending_since")[:most]
    )


def measure_lags(counter_ids: Collection[int]) -> dict[int, timedelta]:
    """Return the lags of pending counters."""
    rows = fetch(
        connection, "rollups", "measure_counter_lags", counter_ids=list(counter_ids)
    )
    return dict(rows)


def read_last_day(
    counter_ids: Collection[int], *, now: datetime | None = None
) -> dict[int, list[Decimal]]:
    """Return each counter's sums of the last 24 hours, the oldest first."""
    this_hour = (now or datetime.now(UTC)).replace(minute=0, second=0, microsecond=0)
    since = this_hour - (HOURS - 1) * HOUR
    day = {one: [Decimal(0)] * HOURS for one in counter_ids}
    for counter_id, at, delta, _ in fetch(
        connection,
        "rollups",
        "read_sparklines",
        counter_ids=list(counter_ids),
        since=since,
    ):
        hour = (at - since) // HOUR
        # A client's clock may run ahead, into an hour that has not begun.
        day[counter_id][min(hour, HOURS - 1)] += delta
    return day


def explain_lag(counter_id: int, lag: timedelta) -> list[str]:
    """Say why a pending counter is not folded yet, the most likely reason first."""
    now = status.measure()
    reasons = []
    if not now.is_anchored:
        reasons.append(
            "The database was restored from a dump: nothing is folded until"
            " manage.py counters reanchor has recounted."
        )
    failure = Failure.objects.filter(pk=counter_id).first()
    if failure is not None:
        reasons.append(
            f"Its fold failed {failure.attempts} time(s). The next try is at"
            f" {failure.next_try_at:%H:%M:%S} UTC. The last error: {failure.error}"
        )
    if not Process.objects.filter(
        role__in=("worker", WATCH), seen_at__gt=datetime.now(UTC) - ALIVE_WITHIN
    ).exists():
        reasons.append(
            f"No worker has reported for {format_duration(ALIVE_WITHIN)}: is one running?"
        )
    age, period = now.last_sweep_age_seconds, conf.sweep_period_seconds()
    if age is None or age > 3 * period:
        since = "is on record" if age is None else f"for {age:.0f} s"
        reasons.append(f"No sweep {since}: is beat running?")
    grace = conf.sweep_grace_seconds()
    if lag.total_seconds() < grace:
        reasons.append("It was written a moment ago; its trigger is on its way.")
    elif not reasons:
        reasons.append(
            "Its trigger was lost, or a worker is busy with it. The next sweep, within"
            f" {period:g} s, enqueues it again."
        )
    return reasons
