"""Create counters outside of the transaction that first adds to them."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import IsolationLevel

from counters import forking
from counters.db.statements import affect, load
from counters.db.timeouts import BoundedConnection, at_most
from counters.recording.validation import CheckedEvent

# A deletion may come between an add's statements; then the add creates the counter again. It
# gives up if a deletion comes in between each time.
MOST_TRIES = 5
# The creating connection is outside of every pool, so one thread of a process at a time may
# have one. A creation takes about ten milliseconds: six threads wait for less than a tenth of
# a second.
_ONE_AT_A_TIME = Lock()
# The longest that each of these may take: the other threads' creations, the server's answer
# (a pooler in between may have no free connection), and the login.
_MOST_SECONDS = 1.0
_MOST_LOGIN_SECONDS = 2  # libpq takes no less

# All end with the transaction, because behind a pooler another client gets the session next.
# The caller may hold the namespace's row lock; a wait for it would be a deadlock that
# PostgreSQL cannot see.
_AS_THE_CALLER = """
SELECT set_config('search_path', %s, true), set_config('role', %s, true),
       set_config('lock_timeout', '500ms', true)
"""


def create_counters(
    connection: BaseDatabaseWrapper, events: Iterable[CheckedEvent]
) -> None:
    """Create the events' counters where they are missing.

    Inside a transaction another connection creates them and commits at once: an
    uncommitted counter would make every other writer of that name wait until the
    caller's transaction ends. If the caller rolls back, a counter of 0 stays.

    A REPEATABLE READ or SERIALIZABLE transaction cannot see a counter that was committed
    after its snapshot. Then this raises a serialization failure. Callers of these levels run
    their transaction again, and find the counter.
    """
    pairs = sorted({(event.namespace.pk, event.name) for event in events})
    if (
        not connection.in_atomic_block
        or _create_apart(connection, pairs) < len(pairs)
        or _has_one_snapshot(connection)
    ):
        # The other connection did not create all of them: they exist, or it got no
        # connection, or the namespace is part of the caller's transaction (as in a test). Or
        # the caller cannot see them, and PostgreSQL raises here.
        affect(connection, "counters", "create_counters", **_parameters(pairs))


def _has_one_snapshot(connection: BaseDatabaseWrapper) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        return cursor.fetchone()[0] in {"repeatable read", "serializable"}


def _create_apart(connection: BaseDatabaseWrapper, pairs: list[tuple[int, str]]) -> int:
    """Create and commit on a connection outside of the pool; return how many were made.

    Threads that each hold one of the pool's connections and wait for a second one would wait
    for each other. Returns 0 if it fails or takes too long.
    """
    with connection.cursor() as cursor:
        # The caller may have set them after it connected, for example for a tenant.
        cursor.execute("SELECT current_setting('search_path'), current_setting('role')")
        caller = cursor.fetchone()
    if not _ONE_AT_A_TIME.acquire(timeout=_MOST_SECONDS):
        return 0
    try:
        with (
            at_most(_MOST_SECONDS),
            BoundedConnection.connect(
                **connection.get_connection_params()
                | {"connect_timeout": _MOST_LOGIN_SECONDS}
            ) as apart,
        ):
            apart.isolation_level = IsolationLevel.READ_COMMITTED
            apart.execute(_AS_THE_CALLER, caller)
            made = apart.execute(
                load("counters", "create_counters"), _parameters(pairs)
            )
            return made.rowcount
    except psycopg.Error:
        # If more than this connection is broken, the caller's own connection will raise.
        return 0
    finally:
        _ONE_AT_A_TIME.release()


def _parameters(pairs: list[tuple[int, str]]) -> dict[str, list[int] | list[str]]:
    return {
        "namespace_ids": [namespace_id for namespace_id, _ in pairs],
        "names": [name for _, name in pairs],
    }


@forking.in_child
def _release() -> None:
    """Replace the lock, which a thread of the parent may hold for longer than a fork may wait."""
    global _ONE_AT_A_TIME
    _ONE_AT_A_TIME = Lock()
