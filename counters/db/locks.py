"""Take locks: advisory locks by name, and heavy locks without making others wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors

T = TypeVar("T")

# Adds and folds queue behind a transaction that waits for a lock which conflicts with theirs.
# So each try waits for a moment only, and lets the others through before the next one.
PATIENCE = "100ms"
ATTEMPTS = 10
PAUSE_SECONDS = 0.2


class LocksHeld(Exception):
    """An open transaction holds a lock on what must be locked; try again later."""


def try_patiently(connection: BaseDatabaseWrapper, work: Callable[[], T]) -> T:
    """Run `work` in a transaction, or a savepoint, that waits for locks for a moment only.

    Returns the result of `work`. Raises LocksHeld if no try got its locks; then `work` has
    changed nothing. The short lock_timeout lasts until the caller's own transaction ends.
    """
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        try:
            with transaction.atomic(using=connection.alias):
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
                return work()
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.LockNotAvailable):
                raise
    raise LocksHeld


def wait_for_advisory_lock(connection: BaseDatabaseWrapper, name: str) -> None:
    """Take a lock until the transaction ends; wait while another transaction has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [name])


def try_advisory_lock(connection: BaseDatabaseWrapper, name: str) -> bool:
    """Take a lock until the transaction ends; return False if another one has it.

    It ends with its transaction, so a process that dies leaves nothing behind.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [name])
        [(taken,)] = cursor.fetchall()
    return bool(taken)
