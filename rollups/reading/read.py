"""Read counts: eventual ones from the rollup, accurate ones with the pending events."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from counters.db.statements import fetch_row
from counters.db.transactions import alone
from counters.errors import CounterNotFound, InvalidValue, NotForBestEffort
from counters.models import Namespace
from counters.namespaces import best_effort, lookup
from counters.recording import names
from rollups.folding.cluster_identity import anchored_only
from rollups.trigger import request

logger = logging.getLogger(__name__)

Accuracy = Literal["eventual", "accurate", "best-effort"]

# With a running worker a counter waits only for seconds.
_HINT_AFTER = timedelta(seconds=30)
# In DEBUG: pending counters -> the `as_of` of their last read, and when it was first seen.
_unfolded: dict[int, tuple[datetime, datetime]] = {}
_hinted = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A count and its freshness."""

    # None for a best-effort counter.
    counter_id: int | None
    namespace: str
    name: str
    count: int
    # The count includes everything committed up to this instant (UTC), perhaps also later events.
    as_of: datetime
    # True if events wait for a fold. An accurate count includes them; an eventual count does not.
    pending: bool
    accuracy: Accuracy
    last_write_at: datetime | None
    # False only in a read of many counters, if this one does not exist.
    exists: bool = True


def get(*, namespace: str, name: str, accuracy: str | None = None) -> Reading:
    """Return a counter's count. The default accuracy is that of the namespace's counter type.

    It is one statement, so it reads one snapshot. An accurate read includes the caller's own
    uncommitted adds. A read of a pending counter requests its fold again. Raises
    NamespaceNotFound, CounterNotFound, InvalidValue, NotForBestEffort, NoSharedCache, and
    for an accurate read NotAnchored.
    """
    found = lookup.get(namespace)
    name = names.check(name)
    chosen = choose_accuracy(found, accuracy)
    if chosen == "best-effort":
        return _best_effort(found, name)
    with anchored_only():
        row = alone(
            lambda: fetch_row(
                connections[DEFAULT_DB_ALIAS],
                "rollups",
                f"read_{chosen}",
                {"namespace_id": found.pk, "name": name},
            )
        )
    if row is None:
        raise CounterNotFound(namespace, name)
    counter_id, count, as_of, pending, last_write_at = row
    if pending:
        ask_for_folds([(counter_id, as_of)])
    return Reading(
        counter_id, namespace, name, int(count), as_of, pending, chosen, last_write_at
    )


def ask_for_folds(waiting: Sequence[tuple[int, datetime]]) -> None:
    """Request folds of pending counters; `waiting` has their ids and `as_of`.

    Without a worker, eventual counts never change. In DEBUG each process logs this once.
    """
    request.request([counter_id for counter_id, _ in waiting])
    if settings.DEBUG and waiting:
        _hint(*waiting[0])


def _hint(counter_id: int, as_of: datetime) -> None:
    global _hinted
    now = datetime.now(UTC)
    folded_at, since = _unfolded.get(counter_id, (as_of, now))
    if folded_at != as_of:
        since = now
    if now - since < _HINT_AFTER:
        _unfolded[counter_id] = (as_of, since)
        return
    if _hinted:
        return
    _hinted = True
    logger.warning(
        "Counter %s has waited for a fold for %.0f s, so its eventual count does not change. Is"
        " a worker running? Start `celery -A <project> worker` and `celery -A <project> beat`,"
        " or run `manage.py counters rollup --watch`.",
        counter_id,
        (now - since).total_seconds(),
    )


def choose_accuracy(
    namespace: Namespace, accuracy: str | None, *, field: str = "accuracy"
) -> Accuracy:
    """Return the requested accuracy, or by default that of the namespace's counter type."""
    if best_effort.applies_to(namespace):
        if accuracy is None or accuracy == "best-effort":
            return "best-effort"
        raise NotForBestEffort(namespace.name, "eventual or accurate reads")
    asked = namespace.counter_type if accuracy is None else accuracy
    if asked == "eventual":
        return "eventual"
    if asked == "accurate":
        return "accurate"
    raise InvalidValue(field, asked, "one of eventual, accurate")


def _best_effort(namespace: Namespace, name: str) -> Reading:
    # Before the read, so that every add before this time is in the count.
    now = datetime.now(UTC)
    count = best_effort.read(namespace, name)
    if count is None:
        raise CounterNotFound(namespace.name, name)
    return of_best_effort(namespace, name, count, as_of=now)


def of_best_effort(
    namespace: Namespace, name: str, count: int, *, as_of: datetime
) -> Reading:
    """Return a best-effort reading; `as_of` is a time before the read."""
    return Reading(
        counter_id=None,
        namespace=namespace.name,
        name=name,
        count=count,
        as_of=as_of,
        pending=False,
        accuracy="best-effort",
        last_write_at=None,
    )
