"""Run the transactions of these apps under settings that no project or server changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction
from psycopg import IsolationLevel
from psycopg.errors import SerializationFailure
from psycopg.pq import TransactionStatus

Rows = TypeVar("Rows")

# A process that is stopped inside one of these transactions, or whose host has vanished,
# holds its locks for this long. lock_rollups.sql has the same value.
IDLE_TIMEOUT = "10s"


@contextmanager
def own_transaction(
    *,
    using: str = DEFAULT_DB_ALIAS,
    durable: bool = False,
    limits_idle_itself: bool = False,
) -> Iterator[None]:
    """Run a transaction under READ COMMITTED that ends if this process falls silent.

    Folds, closings and others take a lock with one statement, and rely on a newer snapshot in
    the next one. Under REPEATABLE READ the snapshot is older: `default_transaction_isolation`
    of a role or a database, or Django's `isolation_level`, would make their counts wrong.
    `limits_idle_itself`: the first statement sets IDLE_TIMEOUT, which saves a round trip.

    Inside a caller's block this is a savepoint with the caller's isolation and time-outs.
    """
    connection = connections[using]
    # As atomic() does first, so that `driver` below is the connection that it will use.
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    if connection.in_atomic_block or not connection.get_autocommit():
        with transaction.atomic(using=using, durable=durable):
            yield
        return
    driver = connection.connection
    before = driver.isolation_level
    # psycopg puts it into BEGIN.
    driver.isolation_level = IsolationLevel.READ_COMMITTED
    try:
        with transaction.atomic(using=using, durable=durable):
            if not limits_idle_itself:
                with connection.cursor() as cursor:
                    cursor.execute(
                        f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_TIMEOUT}'"
                    )
            yield
    finally:
        # A broken connection is not idle, and is never used again.
        if driver.info.transaction_status is TransactionStatus.IDLE:
            driver.isolation_level = before


def alone(run: Callable[[], Rows]) -> Rows:
    """Run one statement in its own transaction; again under READ COMMITTED if it conflicts.

    If the default is another level, the statement fails when another transaction was quicker.
    Then it runs again under READ COMMITTED. So a default of READ COMMITTED costs no round trip.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        return run()
    except OperationalError as error:
        if connection.in_atomic_block or not isinstance(
            error.__cause__, SerializationFailure
        ):
            raise
    with own_transaction():
        return run()
