"""Measure the state of folding and rate it: OK, WARNING or CRITICAL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from django.db import connection

from counters.db.statements import fetch
from counters.errors import counted
from rollups import conf
from rollups.monitor.heartbeat import ALIVE_WITHIN


class Level(IntEnum):
    """The severity, which is also the exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """The thresholds of WARNING and CRITICAL."""

    warn_lag_seconds: float
    critical_lag_seconds: float
    warn_healed: int
    sweep_age_seconds: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One value and its severity."""

    name: str
    level: Level
    says: str


def default_limits() -> Limits:
    """Return limits that fit the settings: the lag of folds by sweeps alone is no alarm."""
    period = conf.sweep_period_seconds()
    return Limits(
        warn_lag_seconds=2 * period,
        critical_lag_seconds=12 * period,
        warn_healed=100,
        sweep_age_seconds=3 * period,
    )


def judge(status: Status, limits: Limits) -> list[Verdict]:
    """Return a verdict on each value. A value equal to its limit exceeds it."""
    return [
        _lag(status, limits),
        _sweep(status, limits),
        _workers(status),
        Verdict(
            "healed",
            Level.WARNING if status.healed_lately >= limits.warn_healed else Level.OK,
            f"sweeps healed {counted(status.healed_lately, 'counter')} in ten minutes",
        ),
        Verdict(
            "quarantined",
            Level.WARNING if status.quarantined else Level.OK,
            f"{counted(status.quarantined, 'counter')} cannot be folded"
            + (", see rollups_failure" if status.quarantined else ""),
        ),
        Verdict(
            "cluster identity",
            Level.OK if status.is_anchored else Level.CRITICAL,
            "the counts belong to this database cluster"
            if status.is_anchored
            else "restored from a dump: nothing folds until manage.py counters reanchor has run",
        ),
    ]


def _lag(status: Status, limits: Limits) -> Verdict:
    level = Level.OK
    if status.lag_seconds >= limits.critical_lag_seconds:
        level = Level.CRITICAL
    elif status.lag_seconds >= limits.warn_lag_seconds:
        level = Level.WARNING
    says = f"{counted(status.pending, 'counter')} pending, the oldest for {status.lag_seconds:.1f} s"
    return Verdict("lag", level, says)


def _workers(status: Status) -> Verdict:
    """Warn if workers run but none reads the queue of rollup messages."""
    if status.idle_workers and not status.folding:
        name = conf.queue_name()
        return Verdict(
            "workers",
            Level.WARNING,
            f"{counted(status.idle_workers, 'worker process', 'worker processes')} found, but"
            f" none reads the queue {name!r}: add {name} to -Q, or remove it from -X",
        )
    folding = counted(status.folding, "process", "processes")
    return Verdict("workers", Level.OK, f"{folding} folding")


def _sweep(status: Status, limits: Limits) -> Verdict:
    age = status.last_sweep_age_seconds
    if age is not None and age < limits.sweep_age_seconds:
        return Verdict("sweep", Level.OK, f"the last sweep was {age:.1f} s ago")
    runs = "`counters rollup --watch`" if conf.trigger_mode() == "off" else "beat"
    since = "is on record" if age is None else f"for {age:.0f} s"
    return Verdict("sweep", Level.WARNING, f"no sweep {since}: is {runs} running?")


@dataclass(frozen=True, slots=True)
class Status:
    """The state of folding right now."""

    pending: int
    lag_seconds: float
    # None if no sweep is on record.
    last_sweep_age_seconds: float | None
    # Healed by the sweeps of the last minutes.
    healed_lately: int
    quarantined: int
    # False after a restore into another cluster: nothing folds until `manage.py counters reanchor`.
    is_anchored: bool
    # Processes that reported lately: workers and `rollup --watch`; and workers that do not
    # read the queue of rollup messages.
    folding: int = 0
    idle_workers: int = 0


def measure() -> Status:
    """Return the state as of now; costs one pass over the last writes."""
    [row] = fetch(connection, "rollups", "measure_status", alive=ALIVE_WITHIN)
    return Status(*row)


@dataclass(frozen=True, slots=True)
class Lag:
    """The number of pending counters and the longest of their lags."""

    pending: int
    oldest: timedelta


def measure_lag() -> Lag:
    """Return the lag as of now; costs one pass over the last writes."""
    [row] = fetch(connection, "rollups", "measure_lag")
    return Lag(*row)
