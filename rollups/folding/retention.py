"""Archive partitions of old folded events in the buckets, then drop them.

A look-up in an index shows whether a namespace keeps the partition for longer. If not, one
transaction archives the partition. It reads the whole partition without a lock: every event
must be folded, and the buckets must agree with the events. It stores the sums of the archived
events in the buckets. Then it locks the partition against inserts for a moment, checks that no
event was added meanwhile, and detaches it. The detached table is dropped later, because a dump
that began shortly before may still read it. The archived sums of the buckets plus the kept
events always give the full recount (see audit_rollups.sql).

The database's clock decides whether a partition is old enough. A token that is used again
after its event was dropped would count twice. So a partition is kept for MARGIN longer than
the retention, and a change of a namespace's settings takes effect only when every process has
read it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, ProgrammingError, connection
from django.db.models import Min
from psycopg import sql
from psycopg.errors import UndefinedTable

from counters.db import clock
from counters.db.locks import LocksHeld, try_advisory_lock, try_patiently
from counters.db.statements import fetch, load
from counters.db.transactions import own_transaction
from counters.errors import InvalidValue, counted, stamp
from counters.models import CounterType, Namespace
from counters.partitions import create
from counters.partitions.create import Partition
from counters.ttl_cache import REMEMBERED_SECONDS
from rollups.folding.cluster_identity import anchored_only
from rollups.models import Closing

# The time for which a detached table is kept.
DROPPED_AFTER = timedelta(hours=1)
# A partition is kept for this much longer than the retention. An add first compares its event
# time with the accept window, and writes later; in between its process may be stopped.
MARGIN = timedelta(hours=1)
# Every process knows a namespace's new settings after REMEMBERED_SECONDS. The additional time
# is for adds that were checked by the old settings and are not committed yet.
SETTLED_SECONDS = REMEMBERED_SECONDS + 8.0
# Of the counters that kept a partition, this many are checked first for the next one.
_LIKELY_COUNTERS = 20
# Archiving a partition and widening an accept window exclude each other.
_LOCK = "rollups.folding.retention"
_ANOTHER_IS_CLOSING = (
    "another process is archiving partitions, or widening an accept window"
)
# One pass over a partition may take long. Nothing waits for it.
STATEMENT_TIMEOUT = "15min"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one partition that was old enough."""

    partition: Partition
    # Why the partition is kept; None if it was archived (or would be).
    kept_because: str | None
    counters: int = 0
    events: int = 0


@dataclass(frozen=True, slots=True)
class _Held:
    """The result of inspect_partition.sql."""

    counters: int
    events: int
    total: int
    unfolded: int
    different: int
    retention: timedelta | None
    snapshot: str


class _EventsCame(Exception):
    """Events were added to the partition while it was inspected."""


def due(*, now: datetime | None = None) -> list[Partition]:
    """Return the partitions past the shortest retention that a namespace has, oldest first.

    Best-effort namespaces have no events.
    """
    now = now or clock.database_now()
    shortest = (
        Namespace.objects.using(DEFAULT_DB_ALIAS)
        .exclude(counter_type=CounterType.BEST_EFFORT)
        .aggregate(shortest=Min("retention"))["shortest"]
    )
    if shortest is None:
        return []
    return [one for one in create.existing() if _age(one, now) >= shortest]


def look(*, now: datetime | None = None) -> Iterator[tuple[Partition, str | None]]:
    """Yield each due partition, and why a namespace keeps it; None if it may be archived."""
    now = now or clock.database_now()
    likely: list[int] = []
    for partition in due(now=now):
        try:
            kept_because = _kept_by_a_namespace(partition, now, likely)
        except ProgrammingError as error:
            # No lock is held here: another process may have archived and renamed the table.
            if not isinstance(error.__cause__, UndefinedTable):
                raise
            kept_because = _ANOTHER_IS_CLOSING
        yield partition, kept_because


def close_due(
    *,
    now: datetime | None = None,
    dry_run: bool = False,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Outcome]:
    """Archive due partitions, one transaction each; yield the outcome of each.

    A partition is kept, and the outcome says why, if it has an unfolded event, an event within
    its namespace's retention, or a counter that differs from its buckets. `dry_run` changes
    nothing. Before the first partition it waits until every process knows the namespaces'
    settings.
    Adds to other days wait for a tenth of a second at most. Raises NotAnchored.
    """
    now = now or clock.database_now()
    may_go = []
    for partition, reason in look(now=now):
        if reason is None:
            may_go.append(partition)
        else:
            yield Outcome(partition, reason)
    if may_go and not dry_run:
        wait(SETTLED_SECONDS)
    for partition in may_go:
        try:
            yield _close(partition, now, dry_run=dry_run)
        except LocksHeld:
            yield Outcome(partition, "a transaction that uses it stays open; try again")
        except _EventsCame:
            yield Outcome(partition, "events were added to it just now; try again")


def drop_closed(*, now: datetime | None = None) -> list[str]:
    """Drop the tables of partitions that were archived an hour ago; return their names.

    A table that another session reads, such as a dump, is dropped at the next call.
    """
    now = now or clock.database_now()
    dropped = []
    for closing in Closing.objects.using(DEFAULT_DB_ALIAS).filter(
        dropped_at__isnull=True, closed_at__lte=now - DROPPED_AFTER
    ):
        try:
            try_patiently(connection, partial(_drop, closing, now))
        except LocksHeld:
            continue
        dropped.append(closing.table)
    return dropped


def check_window(namespace: Namespace, *, now: datetime | None = None) -> None:
    """Raise InvalidValue if the namespace would accept events as old as dropped ones.

    Call it in the transaction that changes the namespace: until its end no partition is
    archived, and later archiving sees the new retention.
    """
    now = now or clock.database_now()
    if not try_advisory_lock(connection, _LOCK):
        raise InvalidValue(
            "accept_past_seconds",
            round(namespace.accept_past.total_seconds()),
            "to be raised this minute: events are being dropped; try again",
        )
    [(until,)] = fetch(
        connection,
        "rollups",
        "find_dropped",
        namespace_id=namespace.pk,
        since=now - namespace.accept_past,
    )
    if until is not None:
        raise InvalidValue(
            "accept_past_seconds",
            round(namespace.accept_past.total_seconds()),
            f"at most {int((now - until).total_seconds())} today: events until"
            f" {stamp(until)} were dropped, and a duplicate of one could not be recognized",
        )


def _age(partition: Partition, now: datetime) -> timedelta:
    """Return the longest retention under which the partition may go; it may be negative."""
    return now - MARGIN - partition.until


def _kept_by_a_namespace(
    partition: Partition, now: datetime, likely: list[int]
) -> str | None:
    """Return why a namespace keeps the partition, using its index.

    `likely` are counters to try first; the one that keeps the partition joins them.
    """
    statement = sql.SQL(load("rollups", "find_keeper")).format(**_names(partition))
    with connection.cursor() as cursor:
        parameters: dict[str, Any] = {"age": _age(partition, now), "likely": likely}
        cursor.execute(statement, parameters)
        found = cursor.fetchone()
    if found is None:
        return None
    counter_id, retention = found
    if counter_id not in likely:
        likely.insert(0, counter_id)
        del likely[_LIKELY_COUNTERS:]
    return _keeps(retention)


def _close(partition: Partition, now: datetime, *, dry_run: bool) -> Outcome:
    names = _names(partition)
    with anchored_only(), own_transaction(durable=True), connection.cursor() as cursor:
        if (
            not try_advisory_lock(connection, _LOCK)
            or partition not in create.existing()
        ):
            return Outcome(partition, _ANOTHER_IS_CLOSING)
        # A separate statement, because parallel workers may share the pass of the next one.
        cursor.execute("SELECT rollups_check_anchor()")
        cursor.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
        _run(cursor, load("rollups", "inspect_partition"), names)
        held = _Held(*cursor.fetchone())
        reason = _reason_to_keep(held, partition, now)
        if reason is None and not dry_run:
            _run(cursor, load("rollups", "close_buckets"), names)
            closing = Closing.objects.create(
                since=partition.since,
                until=partition.until,
                counters=held.counters,
                events=held.events,
                total=held.total,
            )
            names["apart"] = sql.Identifier(closing.table)
            names["snapshot"] = sql.Literal(held.snapshot)
            names["counters"] = sql.Literal(held.counters)
            names["events"] = sql.Literal(held.events)
            # Waits for open transactions that have added to it.
            _run(cursor, "LOCK TABLE {partition} IN SHARE MODE", names, patiently=True)
            _run(cursor, load("rollups", "find_late_events"), names)
            # Past the retention only imports add to it, so the next try is soon enough.
            if cursor.fetchone()[0]:
                raise _EventsCame
            _run(cursor, _DETACH, names, patiently=True)
    return Outcome(partition, reason, held.counters, held.events)


# Locks the whole event table for the moment of the change.
_DETACH = """
ALTER TABLE counters_event DETACH PARTITION {partition};
ALTER TABLE {partition} RENAME TO {apart}
"""


def _reason_to_keep(held: _Held, partition: Partition, now: datetime) -> str | None:
    if held.unfolded:
        return f"it holds unfolded events of {counted(held.unfolded, 'counter')}"
    if held.retention is not None and held.retention > _age(partition, now):
        return _keeps(held.retention)
    if held.different:
        return (
            f"the buckets of {counted(held.different, 'counter')} differ from the events;"
            " run manage.py counters verify --repair first"
        )
    return None


def _keeps(retention: timedelta) -> str:
    return f"a namespace with events in it keeps them for {retention.days} days"


def _drop(closing: Closing, now: datetime) -> None:
    with connection.cursor() as cursor:
        _run(
            cursor,
            "DROP TABLE IF EXISTS {apart}",
            {"apart": sql.Identifier(closing.table)},
        )
    closing.dropped_at = now
    closing.save(update_fields=["dropped_at"])


def _names(partition: Partition) -> dict[str, sql.Composable]:
    return {
        "partition": sql.Identifier(partition.name),
        "since": sql.Literal(partition.since.isoformat()),
        "until": sql.Literal(partition.until.isoformat()),
    }


def _run(
    cursor: Any,
    statement: str,
    names: dict[str, sql.Composable],
    *,
    patiently: bool = False,
) -> None:
    """Run a statement about one table: its name cannot be a parameter."""
    composed = sql.SQL(statement).format(**names)
    if patiently:
        try_patiently(connection, lambda: cursor.execute(composed))
    else:
        cursor.execute(composed)
