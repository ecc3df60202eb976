"""Everything that goes wrong on purpose: each fault has a name, is injected, and healed."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg

from tests.faults.brokers import OwnBroker
from tests.harness import partitions
from tests.harness.held import HeldTransaction
from tests.harness.ledger import Ledger
from tests.harness.partitions import Partition
from tests.harness.schedule import Planned
from tests.harness.stack import NODES, Stack
from tests.harness.units import Unit

_MOST_FILES_AHEAD = 30


@dataclass(frozen=True)
class Ground:
    """What faults work on."""

    stack: Stack
    namespace: str
    ledger: Ledger
    # While this file is there, clients hardly wait for answers.
    impatience: Path


class Fault(ABC):
    """One thing that goes wrong."""

    @abstractmethod
    def inject(self) -> None: ...

    @abstractmethod
    def heal(self) -> None: ...


class UnitKilled(Fault):
    def __init__(self, role: str, ground: Ground, twist: float) -> None:
        self._unit = _chosen(ground.stack.units[role], twist)

    def inject(self) -> None:
        self._unit.kill()

    def heal(self) -> None:
        self._unit.start()


class UnitStopped(Fault):
    """It takes connections, and says nothing."""

    def __init__(self, role: str, ground: Ground, twist: float) -> None:
        self._unit = _chosen(ground.stack.units[role], twist)

    def inject(self) -> None:
        self._unit.signal(signal.SIGSTOP)

    def heal(self) -> None:
        self._unit.signal(signal.SIGCONT)


class ServerKilled(Fault):
    """A broker or cache; nothing is kept of what was in it, but RabbitMQ's queues."""

    def __init__(self, which: str, ground: Ground, twist: float) -> None:
        self._server = _server(which, ground.stack)

    def inject(self) -> None:
        self._server.stop()

    def heal(self) -> None:
        self._server.start()


class ServerStopped(Fault):
    def __init__(self, which: str, ground: Ground, twist: float) -> None:
        self._server = _server(which, ground.stack)

    def inject(self) -> None:
        self._signal(signal.SIGSTOP)

    def heal(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._server.process is not None
        os.killpg(self._server.process.pid, number)


class DatabaseKilled(Fault):
    def __init__(self, ground: Ground, twist: float) -> None:
        self._postgres = ground.stack.postgres

    def inject(self) -> None:
        self._postgres.unit.held_down = True
        self._postgres.kill()

    def heal(self) -> None:
        self._postgres.start()


class ConnectionsTerminated(Fault):
    """Every client's, several times while the fault lasts: at its start and its end."""

    def __init__(self, ground: Ground, twist: float) -> None:
        self._postgres = ground.stack.postgres

    def inject(self) -> None:
        # The database may be down: two faults at once.
        with suppress(psycopg.OperationalError), self._postgres.connection() as own:
            own.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )

    def heal(self) -> None:
        self.inject()


class DiskFull(Fault):
    """Not a byte is free. Mostly the write-ahead log needs a new file at once, too."""

    def __init__(self, ground: Ground, twist: float) -> None:
        assert ground.stack.disk is not None
        self._disk = ground.stack.disk
        self._postgres = ground.stack.postgres
        self._at_once = twist < 0.75

    def inject(self) -> None:
        self._disk.fill()
        if self._at_once:
            # The server gives up under one of these: it has files ahead, but not many.
            with suppress(psycopg.Error), self._postgres.connection() as own:
                for _ in range(_MOST_FILES_AHEAD):
                    own.execute("SELECT pg_logical_emit_message(false, 'harness', '')")
                    own.execute("SELECT pg_switch_wal()")

    def heal(self) -> None:
        self._disk.free()


class TransactionHeld(Fault):
    """A writer that stays in its transaction while others' events are folded."""

    def __init__(self, ground: Ground, twist: float) -> None:
        self._stack = ground.stack
        self._held = HeldTransaction(
            postgres=ground.stack.postgres,
            namespace=ground.namespace,
            ledger=ground.ledger,
            twist=twist,
        )
        self._commits = twist < 0.75

    def inject(self) -> None:
        self._held.begin()

    def heal(self) -> None:
        # Where nothing folds (two faults at once), the bound ends the wait.
        self._stack.wait(self._held.was_overtaken, seconds=10)
        self._held.end(commit=self._commits)


class ClientsImpatient(Fault):
    """Clients give their attempts a few milliseconds, and send the same token again."""

    def __init__(self, ground: Ground, twist: float) -> None:
        self._impatience = ground.impatience

    def inject(self) -> None:
        self._impatience.touch()

    def heal(self) -> None:
        self._impatience.unlink()


_MAKERS: dict[str, Callable[[Ground, float], Fault]] = {
    **{
        f"{role} killed": partial(UnitKilled, role)
        for role in ("web", "worker", "beat")
    },
    **{
        f"{role} stopped": partial(UnitStopped, role)
        for role in ("web", "worker", "beat")
    },
    **{
        f"{which} killed": partial(ServerKilled, which) for which in ("broker", "cache")
    },
    **{
        f"{which} stopped": partial(ServerStopped, which)
        for which in ("broker", "cache")
    },
    "database killed": DatabaseKilled,
    "connections terminated": ConnectionsTerminated,
    "transaction held": TransactionHeld,
    "disk full": DiskFull,
    "clients impatient": ClientsImpatient,
}
# Between hosts; where there are none (--hosts), there is nothing to part.
PARTITIONS = partitions.NAMES
NAMES = (*_MAKERS, *PARTITIONS)
NEEDS_SMALL_DISK = "disk full"


def make(planned: Planned, ground: Ground) -> Fault | Partition:
    if planned.fault in PARTITIONS:
        hosts = ground.stack.hosts
        assert hosts is not None
        return Partition(hosts, planned.fault, planned.twist, nodes=NODES)
    return _MAKERS[planned.fault](ground, planned.twist)


def _chosen(units: list[Unit], twist: float) -> Unit:
    return units[int(twist * len(units))]


def _server(which: str, stack: Stack) -> OwnBroker:
    return stack.broker if which == "broker" else stack.cache
