"""The publisher: takes triggers in microseconds and publishes them in the background.

A process has one publisher. Writers put counter ids into its set; its thread, started on
first use, sends what has gathered as one message every few milliseconds. No writer ever
touches a socket. A fork starts afresh: a child has its own set, thread and connection.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter as TallyOf
from collections.abc import Collection
from contextlib import suppress
from itertools import islice
from multiprocessing.util import Finalize

from counters import forking
from counters.errors import counted
from rollups import conf
from rollups.monitor import metrics
from rollups.trigger.broker import Broker, BrokerBusy, Message
from rollups.trigger.circuit_breaker import Breaker
from rollups.trigger.counts import Tally
from rollups.trigger.spacing import Gathering
from rollups.trigger.sparing import Sparing

logger = logging.getLogger(__name__)

# How many counters one message names at most: what one fold takes in well under a second.
MESSAGE_COUNTERS = 500
# A trigger that waited longer than this is dropped: by then the sweep has sent a newer
# one, and a queue that nobody reads does not grow without end.
EXPIRES_SECONDS = 60.0
# What wakes an idle thread is rarely alone: the rest of its request follows.
_FIRST_GATHER_SECONDS = 0.005
# How far the metrics may be behind the tally: writing them costs a third of a message.
_COUNT_UP_SECONDS = 1.0


class Publisher:
    """The triggers of one process, from request to broker."""

    def __init__(self, breaker: Breaker) -> None:
        self.tally = Tally()
        self.breaker = breaker
        self.broker = Broker()
        self._sparing = Sparing()
        self._gathering = Gathering()
        self._lock = threading.Lock()
        self._waiting: set[int] = set()
        self._most = conf.trigger_waiting_counters()
        self._thread: threading.Thread | None = None
        # Whether the thread sleeps until it is woken, so that a put needs to wake it only
        # then: waking costs more than the rest of a put.
        self._idle = False
        self._counted_up_at = 0.0
        self._woken = threading.Event()
        self._ending = threading.Event()

    @property
    def waiting(self) -> int:
        """How many counters wait in the set right now."""
        return len(self._waiting)

    def put(self, counter_ids: Collection[int]) -> int:
        """Leave counters to the background; return how many are in good hands.

        Never waits, never raises for the broker. A counter that waits already is
        coalesced; one beyond the bound, or after the process's exit, is dropped.
        """
        with self._lock:
            waiting, tally, most = self._waiting, self.tally, self._most
            before, dropped = len(waiting), 0
            if self._ending.is_set():
                dropped = len(counter_ids)
                tally.dropped["exit"] += dropped
            else:
                if before + len(counter_ids) <= most:
                    waiting.update(counter_ids)
                else:
                    dropped = self._put_up_to(most, counter_ids)
                tally.coalesced += len(counter_ids) - dropped - len(waiting) + before
            tally.requested += len(counter_ids)
            wake, self._idle = self._idle, False
            if self._thread is None and not self._ending.is_set():
                self._start()
        if wake:
            self._woken.set()
        return len(counter_ids) - dropped

    def count_adds(self, events: int) -> None:
        with self._lock:
            self.tally.adds += events

    def publish_now(self, message: Message) -> None:
        """Publish in the calling thread; raise what went wrong, after counting it.

        For `inline` mode, circulation and the sweep. While the breaker is open, or where
        other threads keep the connection busy, the message is dropped: raises BrokerBusy.
        """
        counters = len(message.counter_ids)
        with self._lock:
            self.tally.requested += counters
            self.tally.publishing += counters
        try:
            if self.breaker.is_open:
                self._settle(counters, self.tally.dropped, "breaker")
                raise BrokerBusy("the broker failed a moment ago")
            self._publish(message)
        finally:
            self.count_up()

    def flush(self, seconds: float) -> None:
        """Publish what waits and end the thread, within the given time; then drop."""
        with self._lock:
            self._ending.set()
            thread = self._thread
        self._woken.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)
        with self._lock:
            self.tally.dropped["exit"] += len(self._waiting)
            self._waiting.clear()
        self.count_up()

    def count_up(self) -> None:
        """Bring the process's metrics up to its tally."""
        self._counted_up_at = time.monotonic()
        with self._lock:
            changes = self.tally.take_changes()
        metrics.count_triggers(
            changes, waiting=self.waiting, breaker_is_open=self.breaker.is_open
        )

    def totals(self) -> dict[str, int]:
        """Return what this process has counted since it began, by name."""
        with self._lock:
            return self.tally.totals()

    def _put_up_to(self, most: int, counter_ids: Collection[int]) -> int:
        dropped = 0
        for counter_id in counter_ids:
            if counter_id in self._waiting:
                continue
            if len(self._waiting) >= most:
                dropped += 1
            else:
                self._waiting.add(counter_id)
        self.tally.dropped["overflow"] += dropped
        return dropped

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="trigger", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is on its way out
            return
        self._thread = thread
        # At the exit of this process, also where it is multiprocessing's: those run no
        # atexit functions. Celery's children, which run neither, have a signal.
        Finalize(None, flush_at_exit, exitpriority=1)

    def _run(self) -> None:
        try:
            self._ending.wait(_FIRST_GATHER_SECONDS)
            while self._wait_for_work():
                began = time.monotonic()
                all_spared = self._publish_waiting()
                now = time.monotonic()
                if now - self._counted_up_at >= _COUNT_UP_SECONDS:
                    self.count_up()
                self._ending.wait(
                    self._gathering.seconds(
                        now - began, all_spared=all_spared, queued=self.broker.queued
                    )
                )
        finally:
            self._sparing.end()
            with self._lock:
                self._thread = None

    def _wait_for_work(self) -> bool:
        """Return when something has gathered; False once there is nothing more to come.

        Messages of a busy process are a full gathering apart, because publishing costs a
        process more than what it announces. What comes alone goes out nearly at once.
        """
        while True:
            with self._lock:
                if self._waiting:
                    return not (self._ending.is_set() and self.breaker.is_open)
                if self._ending.is_set():
                    return False
                self._woken.clear()
                self._idle = True
            if not self._woken.wait(_COUNT_UP_SECONDS):
                self.count_up()
                self._woken.wait()
            self._ending.wait(_FIRST_GATHER_SECONDS)

    def _publish_waiting(self) -> bool:
        """Publish what has gathered; return whether none of it needed a message."""
        postponed: set[int] = set()
        try:
            return self._publish_all_but(postponed)
        finally:
            self._put_back(postponed)

    def _publish_all_but(self, postponed: set[int]) -> bool:
        while True:
            if self.breaker.is_open:
                # What waits stays in the set and coalesces until the broker is tried again.
                self.count_up()
                if self._ending.wait(self.breaker.remaining_seconds):
                    return False
                continue
            with self._lock:
                batch = list(islice(self._waiting, MESSAGE_COUNTERS))
                self._waiting.difference_update(batch)
                self.tally.publishing += len(batch)
            if not batch:
                return False
            left = self._without_circulating(batch, postponed)
            if left:
                # Counted and reported; the next attempt is the next message's.
                with suppress(Exception):
                    self._publish(Message(left, EXPIRES_SECONDS))
            if len(batch) < MESSAGE_COUNTERS:
                # The set was empty then; what came since is to gather.
                return not left

    def _without_circulating(self, batch: list[int], postponed: set[int]) -> list[int]:
        """Return what needs a message now; add to `postponed` what is to be asked again."""
        found = self._sparing.of(batch)
        spared = set(found.coming_soon)
        # There is no later at the end of the process.
        if not self._ending.is_set():
            postponed |= found.being_folded
            spared |= found.being_folded
        if not spared:
            return batch
        with self._lock:
            self.tally.publishing -= len(found.coming_soon)
            self.tally.coalesced += len(found.coming_soon)
        return [each for each in batch if each not in spared]

    def _put_back(self, postponed: set[int]) -> None:
        with self._lock:
            self.tally.publishing -= len(postponed)
            # Those that were written meanwhile wait already.
            self.tally.coalesced += len(postponed & self._waiting)
            self._waiting |= postponed

    def _publish(self, message: Message) -> None:
        counters = len(message.counter_ids)
        try:
            self.broker.publish(message)
        except BrokerBusy:
            self._settle(counters, self.tally.dropped, "busy")
            raise
        # Not only OperationalError: a broker that refuses a queue's arguments raises
        # errors of its own. None of them may reach the writer, whose event is committed.
        except Exception as error:
            self.breaker.trip()
            cause = error.__cause__ or error
            self._settle(counters, self.tally.failed, type(cause).__name__)
            logger.warning(
                "Trigger not sent (%s: %s); the sweep will find its %s."
                " No more triggers for %g s.",
                type(cause).__name__,
                error,
                counted(counters, "counter"),
                conf.trigger_pause_seconds(),
            )
            raise
        self._settle(counters)

    def _settle(
        self, counters: int, lost: TallyOf[str] | None = None, why: str = ""
    ) -> None:
        """Count what became of a message's counters: published, or lost and why."""
        with self._lock:
            self.tally.publishing -= counters
            if lost is None:
                self.tally.published += counters
                self.tally.messages += 1
            else:
                lost[why] += counters


breaker = Breaker()
_publisher = Publisher(breaker)


def get() -> Publisher:
    """Return this process's publisher."""
    return _publisher


def flush_at_exit() -> None:
    _publisher.flush(conf.trigger_exit_seconds())


@forking.in_child
def _start_afresh() -> None:
    """After a fork, in the child: what waits in the parent is the parent's to publish.

    The parent's thread does not run here, its locks may be held for ever, and its socket
    is shared with it: dropping the object closes this process's end of it only.
    """
    global _publisher
    breaker.reset()
    _publisher = Publisher(breaker)
