"""Rebuild the bloated indexes of partitions whose time is over.

A counter's new entries go into the middle of the index by counter, right behind its last
ones. So pages are split in halves, and the left half is never filled: on the day itself up
to half of it is air. So is a third of the key where tokens have no time of their own.
Nearly nothing is written to a partition once its time is over, so rebuilt indexes stay
dense until retention drops them.

REINDEX CONCURRENTLY builds a second index and swaps it with the one in use. It holds
off no add, fold or read; it waits for transactions that were open before it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors, sql

from counters.db import clock
from counters.db.statements import fetch
from counters.partitions import create

logger = logging.getLogger(__name__)

# Events that come a little late are in by then. Later ones are few.
SETTLED_AFTER = timedelta(hours=1)
# A smaller gain is not worth a rebuild.
LEAST_BYTES = 8 * 1024 * 1024
# An index is rebuilt that is larger than this many times what it would be then.
BLOATED = 1.2
# For each transaction that was open before: a dump, a long report.
_PATIENCE = "1min"
_KEPT: dict[type[BaseException] | type[None], str] = {
    errors.LockNotAvailable: "transactions that were open before it began are open still",
    errors.DeadlockDetected: "a migration, or another rebuild, was at work on its partition",
    errors.QueryCanceled: "it was cancelled, by a statement_timeout or by a user",
}


@dataclass(frozen=True, slots=True)
class BloatedIndex:
    """A bloated index of a past partition."""

    partition: str
    name: str
    # On the disk.
    size_bytes: int
    # The planner's estimate.
    events: int


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The result of one rebuild."""

    index: BloatedIndex
    # None where it stays as it was.
    bytes_after: int | None
    kept_because: str | None = None


def due(
    *, using: str = DEFAULT_DB_ALIAS, now: datetime | None = None
) -> list[BloatedIndex]:
    """Return the indexes that are worth rebuilding, of the oldest partition first."""
    settled = (now or clock.database_now(using=using)) - SETTLED_AFTER
    there = create.existing(using=using)
    rows = fetch(
        connections[using],
        "counters",
        "measure_indexes",
        partitions=[one.name for one in there if one.until <= settled],
        least_bytes=LEAST_BYTES,
        bloated=BLOATED,
    )
    return [BloatedIndex(*row) for row in rows]


def rebuild_due(
    *,
    using: str = DEFAULT_DB_ALIAS,
    now: datetime | None = None,
    most: int | None = None,
) -> Iterator[Rebuilt]:
    """Rebuild the indexes that are due, `most` of them; yield what became of each.

    One that long transactions hold up for a minute is left as it was. Safe to break off
    at any point: the index in use stays in use, and the next run clears away what was
    half built. On a connection of its own, because it must be in no transaction and takes
    longer than services let a statement take. Raises ProgrammingError for a role that does
    not own the tables.
    """
    waiting = due(using=using, now=now)[:most]
    if not waiting:
        return
    with closing(_patient_connection(using)) as connection:
        for index in waiting:
            yield _reindex(connection, index)


def _patient_connection(using: str) -> BaseDatabaseWrapper:
    connection: BaseDatabaseWrapper = connections[using].copy()
    options = connection.settings_dict["OPTIONS"]
    options.pop("pool", None)
    options["options"] = (
        f"{options.get('options', '')}"
        # Without a time limit: nothing waits for it, and half an index is worth nothing.
        f" -c statement_timeout=0 -c lock_timeout={_PATIENCE}"
    )
    return connection


def _reindex(connection: BaseDatabaseWrapper, index: BloatedIndex) -> Rebuilt:
    try:
        _clear_away(connection, index.partition)
        _run(connection, "REINDEX INDEX CONCURRENTLY {}", index.name)
    except OperationalError as error:
        reason = _KEPT.get(type(error.__cause__))
        if reason is None:
            raise
        try:
            _clear_away(connection, index.partition)
        except DatabaseError as left:
            logger.info("What was built of %s is left for later: %s", index.name, left)
        return Rebuilt(index, None, reason)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size(%s::regclass)", [index.name])
        [(size,)] = cursor.fetchall()
    return Rebuilt(index, size)


def _clear_away(connection: BaseDatabaseWrapper, partition: str) -> None:
    """Drop what a broken-off rebuild left; one that is at work now is waited for."""
    left = fetch(connection, "counters", "list_unfinished_indexes", partition=partition)
    for (name,) in left:
        _run(connection, "DROP INDEX CONCURRENTLY IF EXISTS {}", name)


def _run(connection: BaseDatabaseWrapper, statement: str, name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(sql.Identifier(name)))
