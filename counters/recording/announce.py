"""Says after a commit, once per transaction, which counters were written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from counters.signals import events_committed


class Announcement:
    """The post-commit hook of one transaction: sends `events_committed` once."""

    # Django logs a robust hook's failure under this name.
    __qualname__ = "Announcement"

    def __init__(self) -> None:
        self.counter_ids: set[int] = set()
        self.events = 0

    def __call__(self) -> None:
        # send_robust: the events are committed; no receiver's trouble is the writer's.
        events_committed.send_robust(
            sender=Announcement,
            counter_ids=frozenset(self.counter_ids),
            events=self.events,
        )


def after_commit(
    connection: BaseDatabaseWrapper, counter_ids: Iterable[int], *, events: int = 1
) -> None:
    """Announce the counters once the connection's transaction has committed.

    In autocommit mode that is now. A transaction that rolls back announces nothing.
    """
    announcement = _registered(connection)
    announcement.counter_ids.update(counter_ids)
    announcement.events += events
    if not connection.in_atomic_block:
        announcement()


def _registered(connection: BaseDatabaseWrapper) -> Announcement:
    """Return the transaction's announcement; register it on the first add.

    Django drops it with the savepoint in which it was registered. Adds that joined it since
    lie in that savepoint too, or in one within it, so nothing that commits goes unsaid. An
    add whose own savepoint was rolled back may be announced; it is folded to no effect.
    """
    if not connection.in_atomic_block:
        return Announcement()
    # The stubs know tuples of two; each has a third item, "robust".
    hooks: list[Any] = connection.run_on_commit
    for _, hook, _ in hooks:
        if isinstance(hook, Announcement):
            return hook
    announcement = Announcement()
    connection.on_commit(announcement, robust=True)
    return announcement
