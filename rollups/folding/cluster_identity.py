"""Check that watermarks and events belong to this database cluster.

Transaction ids belong to one cluster. A physical copy keeps their meaning, a dump does not: in
another cluster the old ids may be ahead of the new ones, so new events would look folded. The
table rollups_anchor stores the identity of the cluster. Folds, accurate reads and the audit
compare it with the server's, each in its own statement. If the two differ, they are refused
until `reanchor` has recounted; writes continue. Rows may also be copied alone into a migrated
database, so each watermark stores its cluster, too. The first process that notices a
difference clears the stored identity. From then on all are refused, even if the database
returns to its first cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection
from psycopg import Error

from counters.db.statements import affect, fetch
from counters.db.transactions import alone, own_transaction
from counters.errors import NotAnchored
from counters.models import Counter
from counters.partitions import create
from rollups.models import Rollup

# What the SQL function rollups_refuse_if raises.
NOT_ANCHORED_SQLSTATE = "CN503"
# No server's identifier.
NO_CLUSTER = 0
# Few enough for a short transaction, which rewrites the restored events.
BATCH_COUNTERS = 200


@dataclass(frozen=True, slots=True)
class Reanchored:
    """How much was recounted."""

    counters: int
    events: int


@contextmanager
def anchored_only() -> Iterator[None]:
    """Raise NotAnchored if the database refuses rows of another cluster."""
    try:
        yield
    except DatabaseError as error:
        cause = error.__cause__
        if not isinstance(cause, Error) or cause.sqlstate != NOT_ANCHORED_SQLSTATE:
            raise
        if cause.diag.message_detail and not connection.in_atomic_block:
            _drop_anchor(cause.diag.message_detail)
        raise NotAnchored from error


def check() -> None:
    """Raise NotAnchored unless the watermarks belong to this server's cluster."""
    with anchored_only(), connection.cursor() as cursor:
        cursor.execute("SELECT rollups_check_anchor()")


def _drop_anchor(anchored_at: str) -> None:
    """Clear the stored identity, if it is still the one of that time, until `reanchor`.

    Otherwise the identity would match again if the database were restored into its first
    cluster, and events that were written here would look folded. The time shows whether
    another process has run `reanchor` meanwhile.
    """
    # A standby cannot be written, and an older role lacks the right. Another process will.
    with suppress(DatabaseError), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE rollups_anchor SET system_identifier = %s"
            " WHERE anchored_at = %s::timestamptz AND system_identifier <> %s",
            [NO_CLUSTER, anchored_at, NO_CLUSTER],
        )


def is_anchored() -> bool:
    """Return whether the watermarks belong to this server's cluster."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT rollups_is_anchored()")
        [(anchored,)] = cursor.fetchall()
    return bool(anchored)


def reanchor(
    *,
    progress: Callable[[Reanchored], None] = lambda so_far: None,
    batch_counters: int = BATCH_COUNTERS,
) -> Reanchored:
    """Recount every counter, set new watermarks, and store the identity of this cluster.

    Writes continue; folds and accurate reads are refused until the end. After an interruption
    call it again: it starts from the beginning, and a second recount changes nothing. A
    counter that is created meanwhile has no events of another cluster, so it needs no recount.
    """
    done = Reanchored(0, 0)
    after = 0
    while ids := _next_counters(after, batch_counters):
        events = _recount(ids)
        done = Reanchored(done.counters + len(ids), done.events + events)
        progress(done)
        after = ids[-1]
    _take_anchor()
    return done


def _next_counters(after: int, most: int) -> list[int]:
    found = Counter.objects.using(DEFAULT_DB_ALIAS).filter(pk__gt=after).order_by("pk")
    return list(found.values_list("pk", flat=True)[:most])


def _recount(counter_ids: list[int]) -> int:
    """Recount in one transaction; return how many events."""
    # Committed at once: a fold would wait for an uncommitted rollup of the same counter.
    alone(
        lambda: affect(connection, "rollups", "create_rollups", counter_ids=counter_ids)
    )
    with own_transaction(durable=True):
        create.keep_as_they_are(connection)
        # Wait for other holders of these locks: another reanchor or a deletion, never a fold.
        locked = list(
            Rollup.objects.select_for_update()
            .filter(pk__in=counter_ids)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        rows = fetch(connection, "rollups", "reanchor_rollups", counter_ids=locked)
    return sum(int(events) for _, events in rows)


def _take_anchor() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO rollups_anchor"
            " SELECT 1, system_identifier, statement_timestamp() FROM pg_control_system()"
            " ON CONFLICT (id) DO UPDATE SET system_identifier = excluded.system_identifier,"
            " anchored_at = excluded.anchored_at"
        )
