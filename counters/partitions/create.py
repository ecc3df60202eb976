"""Create the partitions of the event table: ahead of time, and for imports of old events.

A row whose partition is missing lands in `counters_event_default`, so that no add ever
fails for want of one; making the partition later moves such rows into it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from counters import conf
from counters.db import clock
from counters.db.locks import LocksHeld, try_patiently, wait_for_advisory_lock
from counters.db.statements import fetch, load
from counters.db.transactions import own_transaction

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
# A month this long past gets one partition for all its days: every fold and accurate
# read that cannot tell its event times beforehand opens every partition there is.
WHOLE_MONTHS_AFTER = timedelta(days=62)
# How many days of strays one round of upkeep brings into partitions of their own.
STRAY_DAYS = 31


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition and its event times: since <= t < until."""

    name: str
    since: datetime
    until: datetime


def make_ahead(
    *, using: str = DEFAULT_DB_ALIAS, now: datetime | None = None
) -> list[Partition]:
    """Make the partitions from two days back to some days ahead; return the new ones."""
    now = now or clock.database_now(using=using)
    until = now + conf.partition_days_ahead() * DAY
    return make(now - 2 * DAY, until, using=using, now=now)


def make(
    since: datetime,
    until: datetime,
    *,
    using: str = DEFAULT_DB_ALIAS,
    now: datetime | None = None,
) -> list[Partition]:
    """Make the partitions that are missing for event times from `since` to `until`.

    Each is made in a transaction of its own. It blocks no other session where no event of its span
    waits in the default partition. What waits there is copied under no lock; then the whole
    event table is locked for as long as it takes to delete it there, some microseconds an
    event. One whose locks cannot be had, because another transaction stays open, is left for
    the next time: its events wait in the default partition. Return the new ones, oldest first.
    """
    connection = connections[using]
    now = now or clock.database_now(using=using)
    missing = _missing(existing(using=using), since, until, now)
    return [wanted for wanted in missing if _make_patiently(connection, wanted)]


def make_for_strays(*, using: str = DEFAULT_DB_ALIAS) -> list[Partition]:
    """Make the partitions that events in the default one lack; return the new ones."""
    days = fetch(connections[using], "counters", "list_strays", most=STRAY_DAYS)
    return [made for (day,) in days for made in make(day, day, using=using)]


def existing(*, using: str = DEFAULT_DB_ALIAS) -> list[Partition]:
    """Return the partitions that there are, oldest first, without the default one."""
    rows = fetch(connections[using], "counters", "list_partitions")
    return [Partition(*row) for row in rows]


def keep_as_they_are(connection: BaseDatabaseWrapper) -> None:
    """Lock the partitions against attaching, filling and detaching until the transaction ends.

    For a transaction whose next statement compares or stores events that it reads. The
    planner first lists the partitions and then locks them, the default one last. So a
    statement without these locks may miss an event of a new partition that its snapshot sees.
    A process that attaches or detaches a partition locks the same two tables, in this order.
    lock_rollups.sql takes these locks within its own statement.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "LOCK TABLE ONLY counters_event, counters_event_default IN ACCESS SHARE MODE"
        )


def _missing(
    there: list[Partition], since: datetime, until: datetime, now: datetime
) -> Iterator[Partition]:
    """Yield what lacks, a day each, or a month where the whole month is long past."""
    day = _midnight(since)
    while day <= until:
        month = _midnight(day.replace(day=1))
        month_end = _midnight((month + 31 * DAY).replace(day=1))
        if month_end < now - WHOLE_MONTHS_AFTER and not _overlaps(
            there, month, month_end
        ):
            yield Partition(f"counters_event_{month:%Y%m}", month, month_end)
            day = month_end
            continue
        if not _overlaps(there, day, day + DAY):
            yield Partition(f"counters_event_{day:%Y%m%d}", day, day + DAY)
        day += DAY


def _overlaps(there: list[Partition], since: datetime, until: datetime) -> bool:
    return any(
        since < partition.until and partition.since < until for partition in there
    )


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _make_patiently(connection: BaseDatabaseWrapper, wanted: Partition) -> bool:
    try:
        with own_transaction(using=connection.alias):
            return _make_one(connection, wanted)
    except LocksHeld:
        logger.warning(
            "The partition %s is left for later: a transaction that read or wrote events"
            " stays open. Its events wait in the default partition; nothing is lost.",
            wanted.name,
        )
        return False


def _make_one(connection: BaseDatabaseWrapper, wanted: Partition) -> bool:
    """Make one partition in the current transaction; False where another made it first.

    Attaching it locks the default partition, which a transaction that read counts holds for
    as long as it is open. Raises LocksHeld.
    """
    names = {
        "partition": sql.Identifier(wanted.name),
        "since": sql.Literal(wanted.since.isoformat()),
        "until": sql.Literal(wanted.until.isoformat()),
    }
    # DDL takes no parameters: the statements' names and literals are put in here.
    make, take_strays, attach = (
        sql.SQL(load("counters", name)).format(**names)
        for name in ("make_partition", "take_strays", "attach_partition")
    )
    with connection.cursor() as cursor:
        # Two makers at once take turns; the second one sees what the first has made.
        wait_for_advisory_lock(connection, "counters.partitions.create")
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [wanted.name])
        if cursor.fetchone()[0]:
            return False
        # A day of strays may be many.
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(make)
        # Of the last of its statements, the INSERT.
        while cursor.nextset():
            pass
        has_strays = cursor.rowcount > 0

        def finish() -> None:
            if has_strays:
                cursor.execute(take_strays)
            cursor.execute(attach)

        try:
            # What was copied stays copied between the tries.
            try_patiently(connection, finish)
        except IntegrityError as error:
            # The first event of its span came just now. The next time it is a stray.
            raise LocksHeld from error
    return True
