"""Delete counters and namespaces with all their data."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from django.db import DEFAULT_DB_ALIAS, connection, transaction

from counters.db import timeouts
from counters.db.statements import fetch
from counters.db.transactions import own_transaction
from counters.errors import CounterNotFound, DeletionUnfinished, NotConfirmed
from counters.models import Counter, LastWrite, Namespace
from counters.namespaces import best_effort, lookup
from counters.recording import names
from counters.signals import counters_deleting
from counters.ttl_cache import REMEMBERED_SECONDS

# Few enough for short transactions, many enough to delete a namespace quickly.
BATCH_COUNTERS = 200
# Without a limit in practice: connections do not wait for an answer for longer than a minute.
_DELETED_WITHIN_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Deleted:
    """How much was deleted."""

    counters: int
    events: int


def delete_counter(*, namespace: str, name: str, confirm: object) -> Deleted:
    """Delete a counter in one transaction; `confirm` must be its name.

    An add at the same moment may create the counter again. Raises NamespaceNotFound,
    CounterNotFound, NotConfirmed.
    """
    found = lookup.get(namespace)
    name = names.check(name)
    if not isinstance(confirm, str) or names.normalized(confirm) != name:
        raise NotConfirmed(name, confirm)
    if best_effort.applies_to(found):
        if not best_effort.delete(found, name):
            raise CounterNotFound(namespace, name)
        return Deleted(1, 0)
    try:
        counter_id = (
            Counter.objects.using(DEFAULT_DB_ALIAS)
            .values_list("pk", flat=True)
            .get(namespace=found, name=name)
        )
    except Counter.DoesNotExist as error:
        raise CounterNotFound(namespace, name) from error
    return Deleted(1, _delete([counter_id]))


def delete_namespace(
    namespace: str,
    *,
    confirm: str | None,
    progress: Callable[[Deleted], None] = lambda so_far: None,
    within: timedelta | None = None,
) -> Deleted:
    """Delete a namespace and all its counters, in batches; `confirm` must be its name.

    After an interruption the namespace has fewer counters; call it again. No batch begins
    after the time `within`. Of a best-effort namespace it returns two seconds later, when no
    process remembers it any more. Raises NamespaceNotFound, NotConfirmed, and DeletionUnfinished if
    counters are left after this time.
    """
    begun_at = time.monotonic()
    if confirm != lookup.get(namespace).name:
        raise NotConfirmed(namespace, confirm)
    # Not the cached one: it may be deleted, and a new namespace may have its name.
    found = lookup.get_now(namespace)
    counters = events = 0
    while True:
        ids = list(
            Counter.objects.using(DEFAULT_DB_ALIAS)
            .filter(namespace=found)
            .values_list("pk", flat=True)[:BATCH_COUNTERS]
        )
        if ids:
            events += _delete(ids)
            counters += len(ids)
            progress(Deleted(counters, events))
            if within is not None and time.monotonic() - begun_at >= (
                within.total_seconds()
            ):
                raise DeletionUnfinished(namespace, counters, events)
        elif _delete_if_empty(found):
            lookup.forget_all()
            if best_effort.applies_to(found):
                transaction.on_commit(_wait_for_other_processes, using=DEFAULT_DB_ALIAS)
            return Deleted(counters, events)


def _wait_for_other_processes() -> None:
    """Wait until no process remembers the namespace.

    A process that does sends adds to the cache. They would be lost if the caller created an
    ordinary namespace of this name meanwhile.
    """
    time.sleep(REMEMBERED_SECONDS)


def remove_orphans() -> int:
    """Remove rows of deleted counters, from adds during the deletion; return how many counters."""
    removed = 0
    while rows := fetch(connection, "counters", "find_orphans", most=BATCH_COUNTERS):
        _delete([counter_id for (counter_id,) in rows])
        removed += len(rows)
    return removed


def remove_orphans_among(counter_ids: Collection[int]) -> int:
    """Remove the rows of those of these counters that were deleted; return how many counters.

    For callers that found pending counters that cannot be folded. This is safe: an id is never
    reused, and a counter is committed no later than its rows.
    """
    # Not from a replica, which may not have the counter yet.
    there = Counter.objects.using(DEFAULT_DB_ALIAS).filter(pk__in=counter_ids)
    gone = sorted(set(counter_ids) - set(there.values_list("pk", flat=True)))
    for first in range(0, len(gone), BATCH_COUNTERS):
        _delete(gone[first : first + BATCH_COUNTERS])
    return len(gone)


def _delete(counter_ids: list[int]) -> int:
    """Delete counters in one transaction; return how many events went with them.

    In several statements: each may wait for another session, and must then see what that
    session has committed.
    """
    with own_transaction(), timeouts.at_most(_DELETED_WITHIN_SECONDS):
        # No time-out, because a counter may have many events. If a web request's time-out ended
        # the deletion, each retry would start again and never end. Adds and folds continue.
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
        # Wait for a running clear, which locks its counter. A later clear finds no counter.
        list(
            Counter.objects.select_for_update()
            .filter(pk__in=counter_ids)
            .order_by("pk")
            .values_list("pk")
        )
        # Wait for a running fold, which locks its rollups.
        counters_deleting.send(sender=None, counter_ids=counter_ids)
        # Wait for a running add on a connection that has written the counter before. Its last
        # write is deleted here, so its event must be deleted below: an event without a last
        # write is never found.
        LastWrite.objects.filter(counter_id__in=counter_ids).delete()
        [(events,)] = fetch(
            connection, "counters", "delete_counters", counter_ids=counter_ids
        )
    return int(events)


def _delete_if_empty(namespace: Namespace) -> bool:
    """Delete a namespace without counters; return False if it has a new counter."""
    with own_transaction():
        # A transaction that creates a counter waits for this lock, and then finds no namespace.
        list(Namespace.objects.select_for_update().filter(pk=namespace.pk))
        if Counter.objects.using(DEFAULT_DB_ALIAS).filter(namespace=namespace).exists():
            return False
        Namespace.objects.filter(pk=namespace.pk).delete()
    return True
