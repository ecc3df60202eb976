"""`manage.py migrate`: no add waits behind a migration of these apps."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as MigrateCommand
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from psycopg import errors

from counters import routers
from counters.db import lock_retry

# Open transactions in the way, the longest open first.
_IN_THE_WAY = """
SELECT pid, coalesce(nullif(application_name, ''), 'unnamed'), now() - xact_start
FROM pg_stat_activity
WHERE datname = current_database() AND xact_start IS NOT NULL
  AND backend_type = 'client backend' AND pid <> pg_backend_pid()
ORDER BY xact_start
LIMIT 3
"""


class Command(MigrateCommand):
    """Django's command, with a short lock_timeout for the migrations of these apps.

    DDL that waits for its lock makes all adds queue behind it. So it waits for a moment
    only, lets them through, and the migration, rolled back as a whole, is tried again.
    Migrations of other apps, and of other databases, run unchanged.
    """

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)  # type: ignore[arg-type]
        parser.add_argument(
            "--lock-patience",
            type=float,
            default=300.0,
            metavar="SECONDS",
            help="try for so long to get locks that open transactions hold (default 300)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        self._connection = connection
        # The lock_timeout of other apps' migrations; None in a database that is not ours.
        self._before: str | None = None
        self._is_ours = False
        if connection.alias != DEFAULT_DB_ALIAS:
            super().handle(*args, **options)
            return
        until = time.monotonic() + options["lock_patience"]
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lock_timeout')")
            [self._before] = cursor.fetchone()
        try:
            while not self._try(*args, **options):
                if time.monotonic() >= until:
                    raise CommandError(_describe_locks_held(connection))
                self.stdout.write("  Locks are held; trying again.")
                time.sleep(lock_retry.PAUSE_SECONDS)
        finally:
            if connection.is_usable():
                _set_lock_timeout(connection, self._before)

    def migration_progress_callback(
        self, action: str, migration: Migration | None = None, fake: bool = False
    ) -> None:
        if (
            migration is not None
            and migration.app_label in routers.APPS
            and self._before is not None
        ):
            self._is_ours = action in {"apply_start", "unapply_start"}
            if not self._is_ours:
                _set_lock_timeout(self._connection, self._before)
            # CONCURRENTLY waits for old transactions, as it should: nobody waits behind it.
            elif migration.atomic:
                _set_lock_timeout(self._connection, lock_retry.PATIENCE)
            else:
                _set_lock_timeout(self._connection, "0")
        super().migration_progress_callback(action, migration, fake)

    def _try(self, *args: Any, **options: Any) -> bool:
        """Migrate; False where a lock was not to be had. What is applied stays applied."""
        try:
            super().handle(*args, **options)
        except OperationalError as error:
            if not self._is_ours or not isinstance(
                error.__cause__, errors.LockNotAvailable
            ):
                raise
            self.stdout.write("")
            return False
        return True


def _set_lock_timeout(connection: BaseDatabaseWrapper, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [value])


def _describe_locks_held(connection: BaseDatabaseWrapper) -> str:
    with connection.cursor() as cursor:
        cursor.execute(_IN_THE_WAY)
        held = [
            f"process {pid} ({name}), open for {age.total_seconds():.0f} s"
            for pid, name, age in cursor.fetchall()
        ]
    return (
        "Open transactions hold what a migration must lock: "
        f"{'; '.join(held) or 'they have ended now'}. What was applied stays; run migrate"
        " again when they have ended."
    )
