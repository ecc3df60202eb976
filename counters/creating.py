"""Creating counters, apart from the transaction that first adds to them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError

from counters.checking import CheckedEvent
from counters.statements import affect


def create_counters(
    connection: BaseDatabaseWrapper, events: Iterable[CheckedEvent]
) -> None:
    """Create the events' counters where they are missing.

    Inside a transaction block a second connection does it and commits at once: an
    uncommitted counter would make every other writer of that name wait until the
    caller's transaction ends. If the caller rolls back, a counter of 0 stays.
    """
    pairs = sorted({(event.namespace.pk, event.name) for event in events})
    if not connection.in_atomic_block:
        _insert(connection, pairs)
        return
    try:
        with closing(connection.copy()) as beside:
            # One transaction, so that the time-out is this connection's for no longer,
            # behind a pooler that gives it away between transactions as well.
            beside.set_autocommit(False)
            with beside.cursor() as cursor:
                # The caller may hold the namespace's row lock; then waiting is a deadlock
                # that PostgreSQL cannot see.
                cursor.execute("SET LOCAL lock_timeout = '500ms'")
            created = _insert(beside, pairs)
            beside.commit()
    except OperationalError:
        created = 0
    if created < len(pairs):
        # No second connection to be had, or the namespace itself is part of the caller's
        # transaction (a test's, say): then the counter is, too.
        _insert(connection, pairs)


def _insert(connection: BaseDatabaseWrapper, pairs: list[tuple[int, str]]) -> int:
    return affect(
        connection,
        "counters",
        "create_counters",
        namespace_ids=[namespace_id for namespace_id, _ in pairs],
        names=[name for _, name in pairs],
    )
