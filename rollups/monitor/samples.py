"""Take samples of the service's totals with each sweep."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

from counters.db.locks import try_advisory_lock
from counters.db.statements import affect, fetch
from counters.db.transactions import own_transaction
from rollups import conf
from rollups.monitor import heartbeat

logger = logging.getLogger(__name__)

KEPT = timedelta(days=1)
# The sweep waits at most this long: a page's history is worth no more.
_STATEMENT_TIMEOUT = "2s"


@dataclass(frozen=True, slots=True)
class Reading:
    """A sample, or the average of several."""

    sampled_at: datetime
    pending: int
    lag_p50_seconds: float
    lag_p99_seconds: float
    lag_max_seconds: float
    inserted: int
    numbers: dict[str, int]


def take() -> bool:
    """Take a sample unless one was taken just now; return whether. Never raises.

    With any number of beats, there is at most one sample in half a sweep period.
    """
    try:
        return _take()
    # A gap in a chart is no reason to fail a sweep.
    except Exception as error:
        logger.warning("No sample was taken: %r", error)
        return False


def read(*, lasting: timedelta, step: timedelta) -> list[Reading]:
    """Return the latest samples, one for each step of time, the oldest first."""
    rows = fetch(
        connection,
        "rollups",
        "read_samples",
        since=datetime.now(UTC) - lasting,
        step=step,
    )
    return [
        Reading(at, pending, p50, p99, longest, inserted, json.loads(numbers))
        for at, pending, p50, p99, longest, inserted, numbers in rows
    ]


def _take() -> bool:
    gap = timedelta(seconds=conf.sweep_period_seconds() / 2)
    with own_transaction():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{_STATEMENT_TIMEOUT}'")
        if not try_advisory_lock(connection, "rollups.sample"):
            return False
        heartbeat.forget_silent()
        return bool(affect(connection, "rollups", "take_sample", gap=gap, keep=KEPT))
