"""A transaction of a writer that adds, and stays open while folds go past it."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import psycopg

from counters.db.statements import load
from tests.harness.ledger import Ledger
from tests.harness.operations import NAMES
from tests.harness.postgres import Connection, OwnPostgres

_COUNTERS = 3
_FOLDS = 3


class HeldTransaction:
    """Runs the service's own statement, so it is a writer like any other, but slow."""

    def __init__(
        self, *, postgres: OwnPostgres, namespace: str, ledger: Ledger, twist: float
    ) -> None:
        self._postgres = postgres
        self._namespace = namespace
        self._ledger = ledger
        self._chance = random.Random(f"held {twist}")
        self._connection: Connection | None = None
        self._added: dict[str, str] = {}
        self._seen: set[object] = set()

    def begin(self) -> None:
        """Add to the hot counter and to others; nothing counts if the database is down."""
        try:
            self._connection = psycopg.connect(
                self._postgres.url, connect_timeout=5, autocommit=False
            )
            for name in [NAMES[0], *self._chance.sample(NAMES[1:], _COUNTERS - 1)]:
                self._add(self._connection, name)
        except psycopg.OperationalError:
            # A commit now would roll back, and not say so.
            self._added.clear()
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def was_overtaken(self) -> bool:
        """Tell whether the hot counter was folded several times since the add."""
        if not self._added:
            return True
        with suppress(psycopg.OperationalError), self._postgres.connection() as own:
            row = own.execute(
                "SELECT rollup.watermark_at FROM rollups_rollup AS rollup"
                " JOIN counters_counter AS counter ON counter.id = rollup.counter_id"
                " JOIN counters_namespace AS namespace"
                " ON namespace.id = counter.namespace_id"
                " WHERE namespace.name = %s AND counter.name = %s",
                [self._namespace, NAMES[0]],
            ).fetchone()
            self._seen.add(row)
        return len(self._seen) > _FOLDS

    def end(self, *, commit: bool) -> None:
        connection = self._connection
        if connection is None:
            return
        # Where the connection is lost, nobody knows what became of a commit.
        with suppress(psycopg.OperationalError):
            if commit:
                connection.commit()
                for name, token in self._added.items():
                    self._ledger.acknowledged(name=name, token=token)
            else:
                connection.rollback()
        if not commit:
            for name, token in self._added.items():
                self._ledger.withdrawn(name=name, token=token)
        connection.close()

    def _add(self, connection: Connection, name: str) -> None:
        token = str(UUID(int=self._chance.getrandbits(128), version=4))
        delta = self._chance.randint(1, 50)
        self._ledger.attempt(name=name, token=token, delta=delta)
        self._added[name] = token
        connection.execute(
            load("counters", "add_event"),
            {
                "namespace_id": self._namespace_id(connection),
                "name": name,
                "token": token,
                "event_time": datetime.now(UTC),
                "delta": delta,
            },
        )

    def _namespace_id(self, connection: Connection) -> object:
        row = connection.execute(
            "SELECT id FROM counters_namespace WHERE name = %s", [self._namespace]
        ).fetchone()
        assert row is not None
        return row[0]
