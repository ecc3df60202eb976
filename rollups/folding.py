"""Folding: bringing rollups forward over the events that they do not cover yet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from django.db import connection, transaction

from counters.statements import fetch


@dataclass(frozen=True, slots=True)
class Folded:
    """What one fold did."""

    # Counter id -> number of events folded now (0 where the last fold crashed half-way).
    events_of: dict[int, int] = field(default_factory=dict)
    # Counters that should be folded again: another fold held them, or they were written
    # meanwhile.
    still_pending: frozenset[int] = frozenset()

    @property
    def events(self) -> int:
        return sum(self.events_of.values())


def fold(counter_ids: Collection[int]) -> Folded:
    """Fold the pending events of the given counters, each exactly once.

    One transaction for all of them; it never waits for another fold, and no writer ever
    waits for it. Safe to run at any time, any number of times, by anybody at once. Must
    not be called inside a transaction block (raises RuntimeError).
    """
    pending = _ids("prepare_fold", counter_ids)
    if not pending:
        return Folded()
    with transaction.atomic(durable=True):
        locked = _ids("lock_rollups", pending)
        events_of = _fold_locked(locked) if locked else {}
    # A crash here leaves last writes behind; the sweep finds them and folds to no effect.
    written_since = _ids("remove_settled", locked) if locked else set()
    return Folded(events_of, frozenset((pending - locked) | written_since))


def _fold_locked(locked: Collection[int]) -> dict[int, int]:
    rows = fetch(connection, "rollups", "fold_events", counter_ids=list(locked))
    return {counter_id: int(events) for counter_id, events in rows}


def _ids(statement: str, counter_ids: Collection[int]) -> set[int]:
    """Run a statement that takes counter ids and returns some of them."""
    rows = fetch(connection, "rollups", statement, counter_ids=list(counter_ids))
    return {counter_id for (counter_id,) in rows}
