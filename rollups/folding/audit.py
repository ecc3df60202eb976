"""Recount counters from their events and compare, while writes go on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connection
from psycopg.errors import QueryCanceled

from counters.db.statements import affect, fetch
from counters.db.transactions import alone, own_transaction
from counters.errors import CountersError
from counters.models import Namespace
from counters.partitions import create
from rollups.folding.cluster_identity import anchored_only

# Few enough that each statement is short, and no snapshot is held for long.
BATCH_COUNTERS = 200


@dataclass(frozen=True, slots=True)
class Audited:
    """The count of one counter by its rollup, by its events and by its buckets."""

    counter_id: int
    namespace: str
    name: str
    total: int
    events: int
    recounted_total: int
    recounted_events: int
    buckets_total: int
    buckets_events: int
    # Buckets whose sums differ from their events; the sum of all buckets may still agree.
    buckets_off: int
    # Pending events outside of the spans of the counter's last writes: no fold finds them.
    unseen_events: int

    @property
    def is_right(self) -> bool:
        return (
            (self.total, self.events) == (self.recounted_total, self.recounted_events)
            and not self.buckets_off
            and not self.unseen_events
        )

    @property
    def is_off_by(self) -> int:
        """By how much the rollup's total is too high."""
        return self.total - self.recounted_total


def audit(
    namespace: Namespace | None = None, *, batch_counters: int = BATCH_COUNTERS
) -> Iterator[list[Audited]]:
    """Yield every counter, in batches, each as of one snapshot.

    Pending events cause no difference: a rollup is compared with the events that its watermark
    covers, both kept and archived ones. Reads every kept event. Raises NotAnchored.
    """
    after = 0
    while True:
        rows = _audit(
            after=after,
            most=batch_counters,
            namespace_id=namespace.pk if namespace else None,
        )
        if not rows:
            return
        batch = [_audited(row) for row in rows]
        yield batch
        after = batch[-1].counter_id


def audit_some(counter_ids: Collection[int]) -> list[Audited]:
    """Audit these counters, one statement each. Raises NotAnchored."""
    found = []
    for counter_id in counter_ids:
        rows = _audit(after=counter_id - 1, most=1, namespace_id=None)
        found += [one for one in map(_audited, rows) if one.counter_id == counter_id]
    return found


def why_not(error: CountersError | OperationalError) -> str:
    """Return a message for a recount that failed; re-raise unknown errors."""
    if isinstance(error, CountersError):
        return error.message
    if isinstance(error.__cause__, QueryCanceled):
        return (
            "The recount took longer than a page may take, because there are many events. Run"
            " manage.py counters verify, which has no time limit."
        )
    raise error


def repair(counter_ids: Collection[int]) -> set[int]:
    """Set totals and buckets to the sums of the events; return the repaired counters.

    Pending events that no fold would find get a last write, so that a fold finds them. All in
    one transaction. A counter that a fold has locked is skipped. Raises
    NotAnchored.
    """
    # Committed at once: a fold would wait for an uncommitted rollup of the same counter.
    alone(
        lambda: affect(
            connection, "rollups", "create_rollups", counter_ids=list(counter_ids)
        )
    )
    with anchored_only(), own_transaction(durable=True):
        locked = fetch(
            connection, "rollups", "lock_rollups", counter_ids=list(counter_ids)
        )
        rows = fetch(
            connection,
            "rollups",
            "repair_rollups",
            counter_ids=[counter_id for (counter_id,) in locked],
        )
    return {counter_id for (counter_id,) in rows}


def _audit(**parameters: int | None) -> list[tuple[Any, ...]]:
    with anchored_only(), own_transaction():
        # Otherwise the audit would report a difference when a fold counts an event of a new
        # partition.
        create.keep_as_they_are(connection)
        return fetch(connection, "rollups", "audit_rollups", **parameters)


def _audited(row: tuple[Any, ...]) -> Audited:
    counter_id, namespace, name, *figures = row
    return Audited(counter_id, namespace, name, *(int(figure) for figure in figures))
