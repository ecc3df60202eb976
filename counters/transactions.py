"""Transactions of our own: what they may rely on, whatever the project and the server set."""

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
# holds its locks for so long. lock_rollups.sql says it too.
IDLE_TIMEOUT = "10s"


@contextmanager
def own_transaction(
    *,
    using: str = DEFAULT_DB_ALIAS,
    durable: bool = False,
    limits_idle_itself: bool = False,
) -> Iterator[None]:
    """Run a transaction under READ COMMITTED that does not stay open when we fall silent.

    Folds, closings and the like lock something with one statement and rely on the next one's
    snapshot being newer. Under REPEATABLE READ it is older: `default_transaction_isolation`
    of a role or a database, or Django's `isolation_level`, would make them count wrong.
    `limits_idle_itself`: the first statement sets IDLE_TIMEOUT, and saves a round trip.

    Inside a caller's block this is a savepoint, and isolation and time-outs are the caller's.
    """
    connection = connections[using]
    # As atomic() does first: the driver's connection is the one that it will use.
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    if connection.in_atomic_block or not connection.get_autocommit():
        with transaction.atomic(using=using, durable=durable):
            yield
        return
    driver = connection.connection
    before = driver.isolation_level
    # psycopg says it in BEGIN.
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
        # A broken one is never used again, and not idle.
        if driver.info.transaction_status is TransactionStatus.IDLE:
            driver.isolation_level = before


def alone(run: Callable[[], Rows]) -> Rows:
    """Run one statement in a transaction of its own, under READ COMMITTED in the end.

    Where the default is another level, it fails if another transaction was quicker. Then it is
    run again as if the default were READ COMMITTED. So the default costs no round trip.
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
