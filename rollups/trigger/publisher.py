"""Take triggers in microseconds and publish them in the background.

A process has one publisher. Writers put counter ids into its bounded set. Its thread, started
on first use, sends the waiting ids as one message, at most every GATHER_SECONDS. No writer
touches a socket. A forked child starts with a set, a thread and a connection of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter as CounterOf
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.util import Finalize
from typing import Any

from counters import forking
from counters.errors import counted
from rollups import conf
from rollups.monitor import metrics
from rollups.trigger.broker import Broker, BrokerBusy

logger = logging.getLogger(__name__)

# The most counters that one message names: what one fold takes in well under a second.
MESSAGE_COUNTERS = 500
# The time between two messages of a busy process; a lone trigger is sent at once. Shorter
# costs CPU for more messages, longer costs staleness: docs/decisions/0010.
GATHER_SECONDS = 0.08


class Breaker:
    """Circuit breaker: open for ROLLUPS_TRIGGER_PAUSE_SECONDS after a failure.

    The first message after the pause is the probe. No lock: two threads that fail together
    open it twice, which does no harm.
    """

    def __init__(self) -> None:
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self._open_until

    def trip(self) -> None:
        self._open_until = time.monotonic() + conf.trigger_pause_seconds()

    def reset(self) -> None:
        self._open_until = 0.0


@dataclass(slots=True)
class Counts:
    """What became of the counters (not messages) of a process's triggers.

    requested = coalesced + published + failed + dropped + publishing + those that wait in the
    set. Under the publisher's lock this holds at any moment.
    """

    requested: int = 0
    # Events that this process recorded; not part of the identity.
    adds: int = 0
    # Joined one that was already waiting in the set.
    coalesced: int = 0
    published: int = 0
    # By the class of the error.
    failed: CounterOf[str] = field(default_factory=CounterOf)
    # By the reason: overflow, breaker, busy, exit.
    dropped: CounterOf[str] = field(default_factory=CounterOf)
    # Taken from the set, not yet known to be published.
    publishing: int = 0
    # Messages published; each names many counters.
    messages: int = 0

    def totals(self) -> dict[str, int]:
        """Return every count, by name."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return plain | {
            "failed": self.failed.total(),
            "dropped": self.dropped.total(),
        }

    def by_label(self) -> CounterOf[tuple[str, str]]:
        """Return every count, by name and label."""
        found = CounterOf({(name, ""): getattr(self, name) for name in _PLAIN})
        found.update({("failed", error): count for error, count in self.failed.items()})
        found.update({("dropped", why): count for why, count in self.dropped.items()})
        return found


_PLAIN = ("adds", "requested", "coalesced", "published", "messages")


class Publisher:
    """Carries the triggers of one process from the request to the broker."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.breaker = Breaker()
        self.broker = Broker()
        self._lock = threading.Lock()
        self._waiting: set[int] = set()
        self._most = conf.trigger_waiting_counters()
        self._thread: threading.Thread | None = None
        # Wakes the thread when the first counter waits, or the process ends.
        self._woken = threading.Condition(self._lock)
        self._ending = threading.Event()
        # What the metrics have.
        self._counted: CounterOf[tuple[str, str]] = CounterOf()

    @property
    def waiting(self) -> int:
        """How many counters wait in the set right now."""
        return len(self._waiting)

    def put(self, counter_ids: Collection[int], *, events: int = 0) -> int:
        """Leave counters to the background; return how many were accepted.

        Never waits and never raises. A counter that already waits is coalesced; one beyond
        the bound is dropped.
        """
        with self._lock:
            waiting, counts = self._waiting, self.counts
            new = set(counter_ids) - waiting
            room = self._most - len(waiting)
            dropped = max(0, len(new) - room)
            if not waiting:
                self._woken.notify()
            waiting.update(islice(new, room) if dropped else new)
            counts.adds += events
            counts.requested += len(counter_ids)
            counts.coalesced += len(counter_ids) - len(new)
            if dropped:
                counts.dropped["overflow"] += dropped
            if self._thread is None:
                self._start()
        return len(counter_ids) - dropped

    def count_adds(self, events: int) -> None:
        with self._lock:
            self.counts.adds += events

    def publish(self, counter_ids: Sequence[int], **options: Any) -> None:
        """Publish in the calling thread; raise any error, after counting it.

        For inline mode, re-enqueued counters and the sweep. Raises BrokerBusy, and drops the
        message, while the circuit is open or other threads keep the connection busy.
        """
        with self._lock:
            self.counts.requested += len(counter_ids)
            self.counts.publishing += len(counter_ids)
        try:
            self._publish(counter_ids, **options)
        finally:
            self.count_up()

    def flush(self, seconds: float) -> None:
        """Publish what waits and end the thread, within the given time; then drop."""
        self._ending.set()
        with self._lock:
            thread = self._thread
            self._woken.notify()
        if thread is not None:
            thread.join(seconds)
        with self._lock:
            self.counts.dropped["exit"] += len(self._waiting)
            self._waiting.clear()
        self.count_up()

    def count_up(self) -> None:
        """Bring the process's metrics up to date."""
        with self._lock:
            now = self.counts.by_label()
            changes, self._counted = now - self._counted, now
        metrics.count_triggers(
            changes, waiting=self.waiting, breaker_is_open=self.breaker.is_open
        )

    def totals(self) -> dict[str, int]:
        """Return what this process has counted since it began, by name."""
        with self._lock:
            return self.counts.totals()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="trigger", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is shutting down
            return
        self._thread = thread
        # At the exit of this process, also in multiprocessing's children, which run no
        # atexit functions. Celery's children, which run neither, have a signal.
        Finalize(None, flush_at_exit, exitpriority=1)

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self._publish_waiting()
                self.count_up()
                self._ending.wait(GATHER_SECONDS)
        finally:
            with self._lock:
                self._thread = None

    def _wait_for_work(self) -> bool:
        """Return when a counter waits; False when the process ends and no more can come."""
        with self._lock:
            self._woken.wait_for(lambda: self._waiting or self._ending.is_set())
            waits = bool(self._waiting)
        return waits and not (self._ending.is_set() and self.breaker.is_open)

    def _publish_waiting(self) -> None:
        """Publish what waits now; while the circuit is open, let it wait and coalesce."""
        left = self.waiting
        while left > 0 and not self.breaker.is_open:
            with self._lock:
                batch = list(islice(self._waiting, MESSAGE_COUNTERS))
                self._waiting.difference_update(batch)
                self.counts.publishing += len(batch)
            left -= MESSAGE_COUNTERS
            # Counted and logged; the next attempt is the next message's.
            with suppress(Exception):
                self._publish(batch)

    def _publish(self, counter_ids: Sequence[int], **options: Any) -> None:
        counters = len(counter_ids)
        try:
            if self.breaker.is_open:
                raise BrokerBusy("breaker")
            self.broker.publish(counter_ids, **options)
        except BrokerBusy as error:
            self._settle(counters, self.counts.dropped, str(error))
            raise
        # Not only OperationalError: a broker that refuses a queue's arguments raises other
        # errors. No error may reach the writer, whose event is committed.
        except Exception as error:
            self.breaker.trip()
            cause = type(error.__cause__ or error).__name__
            self._settle(counters, self.counts.failed, cause)
            logger.warning(
                "Trigger not sent (%s: %s); the sweep will find its %s."
                " No more triggers for %g s.",
                cause,
                error,
                counted(counters, "counter"),
                conf.trigger_pause_seconds(),
            )
            raise
        self._settle(counters)

    def _settle(
        self, counters: int, lost: CounterOf[str] | None = None, why: str = ""
    ) -> None:
        """Count what became of a message's counters: published, or lost and why."""
        with self._lock:
            self.counts.publishing -= counters
            if lost is None:
                self.counts.published += counters
                self.counts.messages += 1
            else:
                lost[why] += counters


_publisher = Publisher()


def get() -> Publisher:
    """Return this process's publisher."""
    return _publisher


def flush_at_exit() -> None:
    _publisher.flush(conf.trigger_exit_seconds())


@forking.in_child
def _start_afresh() -> None:
    """Replace the publisher in a forked child.

    The parent publishes what waits in the parent. Its thread does not run here, its locks may
    be held without end, and its socket is shared: dropping the object closes this process's
    end only.
    """
    global _publisher
    _publisher = Publisher()
