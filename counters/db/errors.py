"""Tell outages of the database from other errors, and drop lost connections."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
)
from psycopg import Error as DriverError
from psycopg import errors
from psycopg_pool import PoolTimeout, TooManyRequests

from counters import forking

logger = logging.getLogger(__name__)

# One failure empties the pool. Other requests that failed with it find the pool empty.
_DRAIN_EVERY_SECONDS = 1.0
_NOT_MIGRATED = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
)
_draining = forking.lock()
_drained_at = -_DRAIN_EVERY_SECONDS


def is_outage(error: BaseException | None) -> bool:
    """Tell whether the same request may succeed later, because only the database failed.

    It is down, silent, full, read-only, shutting down or out of connections, or the error is a
    time-out or a deadlock.
    """
    if isinstance(error, InternalError):
        # Django raises InternalError if the server is a standby now, or if it has ended a
        # transaction because this process was silent.
        return isinstance(
            error.__cause__,
            (errors.ReadOnlySqlTransaction, errors.IdleInTransactionSessionTimeout),
        )
    return isinstance(error, (OperationalError, InterfaceError, PoolTimeout))


def lacks_migrations(error: BaseException) -> bool:
    """Tell whether the error comes from a database that lacks migrations."""
    return isinstance(error.__cause__, _NOT_MIGRATED)


@contextmanager
def log_missing_migrations() -> Iterator[None]:
    """Log in one line, without a traceback, that the database lacks migrations."""
    try:
        yield
    except DatabaseError as error:
        if not lacks_migrations(error):
            raise
        logger.error("Nothing was done. %s", explain(error))


def explain(error: BaseException) -> str | None:
    """Return why the database cannot serve, and what to do; None for other errors."""
    if is_outage(error):
        # Our service's settings have a hint; Django ignores it.
        hint = connection.settings_dict.get("HINT", "")
        return f"The database cannot serve this now: {describe(error)} {hint}".rstrip()
    if lacks_migrations(error):
        return (
            "The database lacks migrations of this version: run `manage.py migrate`."
            f" ({str(error.__cause__).splitlines()[0]})"
        )
    return None


def describe(error: BaseException) -> str:
    """Return the message of the database, or of its driver, in one line."""
    return " ".join(str(error).split())


def drop_broken_connections(error: BaseException) -> None:
    """Empty the pool after one lost connection, so that only one request waits for it.

    The pool's other connections are closed without a check: a silent server would hold each
    check until its time-out.
    """
    global _drained_at
    pool = getattr(connection, "pool", None)
    if pool is None or not _has_lost_connection(error):
        return
    with _draining:
        now = time.monotonic()
        if now - _drained_at < _DRAIN_EVERY_SECONDS:
            return
        _drained_at = now
    pool.drain()


def _has_lost_connection(error: BaseException) -> bool:
    cause = error.__cause__ or error
    if isinstance(cause, (PoolTimeout, TooManyRequests)):
        return False
    # The driver's own errors have no code: the socket was closed, or there was no answer.
    # 57P01 to 57P05: the server stops or has crashed, and ended this connection.
    # 25P03: the server ended it because this process was silent inside a transaction.
    return isinstance(cause, DriverError) and (
        cause.sqlstate is None or cause.sqlstate.startswith(("08", "57P", "25P03"))
    )
