"""The sweep: finds pending counters however their trigger was lost, and enqueues them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction

from counters.statements import affect, fetch
from rollups import conf, trigger

# How long the record of a sweep is kept.
KEPT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Pending:
    """A counter that waits for a fold, and for how long it has."""

    counter_id: int
    lag: timedelta


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found and did."""

    pending: int
    healed: tuple[int, ...]
    oldest_lag: timedelta | None
    enqueued: int


def select_pending(*, grace: timedelta, most: int) -> list[Pending]:
    """Return the counters that wait for at least `grace`, longest lag first."""
    rows = fetch(connection, "rollups", "select_pending", grace=grace, most=most)
    return [Pending(*row) for row in rows]


def sweep() -> Swept | None:
    """Enqueue the counters whose trigger did not do its job; return what was found.

    One sweep runs at a time in the whole system, whoever starts it: None where another
    one is at it. Its messages expire with its period, so sweeps never pile up.
    """
    grace = timedelta(seconds=conf.sweep_grace_seconds())
    with transaction.atomic(durable=True):
        if not _only_sweep():
            return None
        waiting = select_pending(grace=timedelta(0), most=conf.sweep_counters())
        healed = tuple(one.counter_id for one in waiting if one.lag >= grace)
        oldest_lag = waiting[0].lag if waiting else None
        _record(pending=len(waiting), healed=len(healed), oldest_lag=oldest_lag)
    # Outside the transaction: nobody waits on its lock while the broker is slow.
    enqueued = trigger.request(healed, expires_seconds=conf.sweep_period_seconds())
    return Swept(len(waiting), healed, oldest_lag, enqueued)


def _only_sweep() -> bool:
    """Take the sweep's lock until the end of the transaction, or return False.

    An advisory lock ends with its transaction, so a beat that dies leaves nothing behind.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('rollups.sweep'))")
        [(taken,)] = cursor.fetchall()
    return bool(taken)


def _record(*, pending: int, healed: int, oldest_lag: timedelta | None) -> None:
    affect(
        connection,
        "rollups",
        "record_sweep",
        pending=pending,
        healed=healed,
        oldest_lag=oldest_lag,
        keep=KEPT,
    )
