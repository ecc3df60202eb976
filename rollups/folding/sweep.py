"""Find pending counters whose trigger was lost, and enqueue them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models.functions import Now

from counters.db.locks import try_advisory_lock
from counters.db.statements import fetch
from counters.db.transactions import own_transaction
from counters.errors import NotAnchored
from counters.namespaces import deletion
from rollups import conf
from rollups.folding import cluster_identity
from rollups.models import Sweep
from rollups.monitor import metrics
from rollups.monitor.status import measure_lag
from rollups.trigger import request

logger = logging.getLogger(__name__)

# How long the record of a sweep is kept.
KEPT = timedelta(days=7)
# One sweep at a time, of all beats and of `rollup --watch`.
_LOCK = "rollups.sweep"


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending counter and its lag."""

    counter_id: int
    lag: timedelta


@dataclass(frozen=True, slots=True)
class Swept:
    """The result of one sweep."""

    pending: int
    # Counters that waited for at least the grace, longest lag first.
    overdue: tuple[int, ...]
    oldest_lag: timedelta | None
    enqueued: int


def select_pending(*, grace: timedelta, most: int) -> list[Pending]:
    """Return the counters that wait for at least `grace`, longest lag first."""
    rows = fetch(connection, "rollups", "select_pending", grace=grace, most=most)
    return [Pending(*row) for row in rows]


def sweep() -> Swept | None:
    """Enqueue the counters that have waited too long; return the result.

    In the whole system one sweep runs at a time, and at most two run in a period, with any
    number of beats. Returns None if another sweep runs or ran a moment ago, or if nothing can
    be folded after a restore into another cluster. A sweep's messages expire with its period,
    so at most ROLLUPS_SWEEP_COUNTERS of a sweep are in the queue, and sweeps never pile up.
    """
    try:
        cluster_identity.check()
    except NotAnchored as error:
        logger.error("No sweep: %s", error.message)
        return None
    grace = timedelta(seconds=conf.sweep_grace_seconds())
    with own_transaction(durable=True):
        if not try_advisory_lock(connection, _LOCK) or _swept_just_now():
            return None
        waiting = select_pending(grace=timedelta(0), most=conf.sweep_counters())
        overdue = tuple(one.counter_id for one in waiting if one.lag >= grace)
        oldest_lag = waiting[0].lag if waiting else None
        [(sweep_id,)] = fetch(
            connection,
            "rollups",
            "record_sweep",
            pending=len(waiting),
            overdue=len(overdue),
            oldest_lag=oldest_lag,
            keep=KEPT,
        )
    metrics.count_sweep()
    # Outside the transaction, so that no session waits for its lock while the broker is slow.
    enqueued = request.send(
        overdue, expires_seconds=conf.sweep_period_seconds(), sweep_id=sweep_id
    )
    # A counter that was deleted during an add cannot be folded; its rows are removed. Usually
    # few counters are overdue, so the check costs least here.
    if overdue:
        deletion.remove_orphans_among(overdue)
    return Swept(len(waiting), overdue, oldest_lag, enqueued)


def record_watch() -> None:
    """Record a sweep for `rollup --watch`, not more often than beat's sweeps.

    It enqueues nothing, because `rollup --watch` folds what it finds.
    """
    with own_transaction(durable=True):
        if not try_advisory_lock(connection, _LOCK) or _swept_just_now():
            return
        lag = measure_lag()
        fetch(
            connection,
            "rollups",
            "record_sweep",
            pending=lag.pending,
            overdue=0,
            oldest_lag=lag.oldest,
            keep=KEPT,
        )


def _swept_just_now() -> bool:
    """Return whether another beat's sweep was less than half a period ago.

    A sweep in the future means that the clock was set back: do not wait for it.
    """
    half = timedelta(seconds=conf.sweep_period_seconds() / 2)
    return (
        Sweep.objects.using(DEFAULT_DB_ALIAS)
        .filter(swept_at__gt=Now() - half, swept_at__lte=Now())
        .exists()
    )
