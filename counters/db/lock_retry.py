"""Taking heavy locks without making others wait behind us."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors

T = TypeVar("T")

# Whoever waits for a lock that conflicts with adds or folds makes all of them queue behind
# it. So each try waits for a moment only, and lets the others through before the next one.
PATIENCE = "100ms"
ATTEMPTS = 10
PAUSE_SECONDS = 0.2


class LocksHeld(Exception):
    """A transaction that stays open holds what must be locked; try again later."""


def try_patiently(connection: BaseDatabaseWrapper, work: Callable[[], T]) -> T:
    """Run `work` in a transaction, or a savepoint, that never waits for a lock for long.

    Returns what it returns. Raises LocksHeld when every try was in vain; then nothing of it
    has happened. The short lock_timeout lasts until the caller's own transaction ends.
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
