"""Check that watermarks and events belong to this database cluster.

Transaction ids belong to one cluster. A physical copy keeps them, a dump does not: restored
into another cluster, old ids are ahead of the new ones, and what is written next would look
folded. So folds, accurate reads and the audit ask, each in its own statement, whether the
server is the cluster that the anchor names; where it is not they are refused, the writes go
on, and `reanchor` recounts. Rows may also come alone into a database that has an anchor
already, so each watermark names its cluster, too. The first process that notices drops the
anchor, so that all are refused from then on, wherever the database goes.
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
# Few enough that a transaction stays short: it rewrites the events that came with the dump.
BATCH_COUNTERS = 200


@dataclass(frozen=True, slots=True)
class Reanchored:
    """How much was recounted."""

    counters: int
    events: int


@contextmanager
def anchored_only() -> Iterator[None]:
    """Raise NotAnchored where the database refuses rows of another cluster."""
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
    """Make the anchor, if it is still the one of that time, name no cluster until `reanchor`.

    Otherwise the database would look anchored if it were restored into the cluster that the
    anchor named, and what was written here would look folded. The time shows whether another
    process has re-anchored meanwhile.
    """
    # A standby cannot be written, and an older role lacks the right. Another process will.
    with suppress(DatabaseError), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE rollups_anchor SET system_identifier = %s"
            " WHERE anchored_at = %s::timestamptz AND system_identifier <> %s",
            [NO_CLUSTER, anchored_at, NO_CLUSTER],
        )


def is_anchored() -> bool:
    """Return whether the server is the cluster that the watermarks are of."""
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

    Writes go on meanwhile; folds and accurate reads are refused until it has ended. Broken
    off, it is to be called again, from the start: a second recount changes nothing. A
    counter that is made meanwhile has no events of another cluster and needs none.
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
