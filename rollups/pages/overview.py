"""Measure the state of the whole service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

from counters.db.statements import fetch
from rollups.models import Process
from rollups.monitor import samples as sampling
from rollups.monitor import status
from rollups.monitor.heartbeat import ALIVE_WITHIN, ENDED, WATCH
from rollups.monitor.status import Level, Status, Verdict
from rollups.pages import last_hour

HOUR = timedelta(hours=1)
# Current rates come from the samples of this time.
_NOW = timedelta(seconds=60)
_EVERY = timedelta(seconds=1)
TRIGGERS = ("requested", "published", "coalesced", "failed", "dropped", "healed")
# The roles of a running service; `rollup --watch` takes the place of worker and beat.
ROLES = ("web", "worker", "beat")
ROLES_WITHOUT_BROKER = ("web", WATCH)


@dataclass(frozen=True, slots=True)
class Lags:
    """The number of pending counters, and how long they have waited."""

    pending: int
    p50_seconds: float
    p99_seconds: float
    max_seconds: float


@dataclass(frozen=True, slots=True)
class Role:
    """The processes of one role with a recent heartbeat."""

    name: str
    processes: list[Process]


@dataclass(frozen=True, slots=True)
class PartitionSize:
    """A partition of the event table. The default partition has no bounds."""

    name: str
    since: datetime | None
    until: datetime | None
    size_bytes: int
    # The planner's estimate.
    rows: int | None


@dataclass(frozen=True, slots=True)
class Triggers:
    """Triggered counters by outcome."""

    outcome: str
    last_hour: int | None
    ever: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of the service at one moment."""

    at: datetime
    level: Level
    verdicts: list[Verdict]
    status: Status
    lags: Lags
    adds_per_second: float | None
    folded_per_second: float | None
    triggers: list[Triggers]
    roles: list[Role]
    # Processes whose circuit to the broker is open.
    open_breakers: int
    waiting: int
    partitions: list[PartitionSize]

    @property
    def partitions_bytes(self) -> int:
        return sum(one.size_bytes for one in self.partitions)


def measure() -> Overview:
    """Return the current state. It reads the last writes a few times."""
    at = datetime.now(UTC)
    now = status.measure()
    verdicts = status.judge(now, status.default_limits())
    [lags] = fetch(connection, "rollups", "measure_lag_spread")
    samples = sampling.read(lasting=_NOW, step=_EVERY)
    roles = _roles(at)
    alive = [process for role in roles for process in role.processes]
    return Overview(
        at=at,
        level=max(one.level for one in verdicts),
        verdicts=verdicts,
        status=now,
        lags=Lags(*lags),
        adds_per_second=last_hour.over(samples, "inserted"),
        folded_per_second=last_hour.over(samples, "events_folded"),
        triggers=_triggers(),
        roles=roles,
        open_breakers=sum(process.breaker_is_open for process in alive),
        waiting=sum(process.waiting for process in alive),
        partitions=[
            PartitionSize(*row)
            for row in fetch(connection, "counters", "measure_partitions")
        ],
    )


def _roles(at: datetime) -> list[Role]:
    alive = list(
        Process.objects.filter(seen_at__gt=at - ALIVE_WITHIN)
        .exclude(pk=ENDED)
        .order_by("host", "pid")
    )
    running = {process.role for process in alive}
    without_broker = WATCH in running and not running & {"worker", "beat"}
    roles = ROLES_WITHOUT_BROKER if without_broker else ROLES
    return [
        Role(name, [process for process in alive if process.role == name])
        for name in [*roles, *sorted(running - {*roles})]
    ]


def _triggers() -> list[Triggers]:
    """Compare the sums of now with those of an hour ago, or of the oldest sample since."""
    hour = sampling.read(lasting=HOUR, step=timedelta(minutes=1))
    first: Mapping[str, int] = hour[0].numbers if hour else {}
    last: Mapping[str, int] = hour[-1].numbers if hour else {}
    return [
        Triggers(
            outcome,
            max(0, last.get(outcome, 0) - first.get(outcome, 0))
            if len(hour) > 1
            else None,
            last.get(outcome, 0),
        )
        for outcome in TRIGGERS
    ]
