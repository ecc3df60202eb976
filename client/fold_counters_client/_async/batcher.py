"""A batcher: gather events in memory and send many of them in one call."""

from __future__ import annotations

import logging
import threading
import time
from asyncio import Condition, Lock
from collections import deque
from contextlib import suppress
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fold_counters_client.arguments import GivenToken
from fold_counters_client.batching import (
    OnRefused,
    Refused,
    about_one,
    index_of,
    is_for_good,
)
from fold_counters_client.calls import BATCH_EVENTS
from fold_counters_client.concurrency import AsyncBackground, async_wait
from fold_counters_client.errors import (
    BatcherFull,
    CountersError,
    InvalidArgument,
    Problem,
)
from fold_counters_client.results import NewEvent
from fold_counters_client.tokens import new_token

if TYPE_CHECKING:
    from fold_counters_client._async.client import AsyncClient

logger = logging.getLogger("fold_counters_client")

# `refused` keeps this many events; `refused_events` counts all of them.
KEPT_REFUSALS = 1_000
# The shortest pause after a failed attempt.
LEAST_PAUSE_SECONDS = 1.0


class AsyncBatcher:
    """Gathers events and sends them in batches, in the background.

    It sends when `batch_events` events wait, or when the oldest has waited for
    `most_seconds`. Each event gets its token and its time when `add` is called, so sending it
    again is safe. An event is durable after it was sent: after `flush`, or
    after the `with` block. Threads may share a Batcher, and tasks an AsyncBatcher.

    An event that the service refuses for good is set aside in `refused`. The batcher calls
    `on_refused` with it, or logs a warning; `on_refused` must not flush or close. While the service cannot be reached, up to `most_waiting` events wait.
    """

    def __init__(
        self,
        client: AsyncClient,
        *,
        batch_events: int,
        most_seconds: float,
        most_waiting: int,
        on_refused: OnRefused | None,
    ) -> None:
        if not 1 <= batch_events <= BATCH_EVENTS:
            raise InvalidArgument(
                "batch_events",
                f"a batch has 1 to {BATCH_EVENTS:,} events, not {batch_events:,}",
            )
        if most_waiting < batch_events:
            raise InvalidArgument(
                "most_waiting",
                f"{most_waiting:,} is less than one batch of {batch_events:,}",
            )
        if not most_seconds > 0:
            raise InvalidArgument("most_seconds", f"{most_seconds} is not above 0")
        self._client = client
        self._batch_events = batch_events
        self._most_seconds = most_seconds
        self._most_waiting = most_waiting
        self._on_refused = on_refused
        # How many events the service took, and how many it refused for good.
        self.sent = self.refused_events = 0
        # Why the last attempt to send failed; None if it did not.
        self.error: Exception | None = None
        self._failed_at = 0.0
        self._waiting: deque[tuple[NewEvent, float]] = deque()
        self._refused: deque[Refused] = deque(maxlen=KEPT_REFUSALS)
        self._best_effort: set[str] = set()
        # Guards `_waiting`, also from properties, which cannot wait for `_changed`.
        self._guard = threading.Lock()
        # Held for moments, never while something is sent.
        self._changed = Condition()
        # Held while events are sent, so that events keep their order.
        self._sending = Lock()
        self._sender: AsyncBackground | None = None
        self._closed = False

    @property
    def waiting(self) -> list[NewEvent]:
        """Return the events that were not sent yet."""
        with self._guard:
            return [event for event, _ in self._waiting]

    @property
    def refused(self) -> list[Refused]:
        """Return the last 1,000 events that the service refused for good."""
        return list(self._refused)

    async def add(
        self,
        namespace: str,
        name: str,
        delta: int = 1,
        *,
        token: GivenToken | None = None,
        generation_time: datetime | None = None,
    ) -> None:
        """Gather one event. Waits for room while the service takes events.

        Raises InvalidArgument, and BatcherFull if there is no room and sending failed.
        """
        given = new_token() if token is None else token
        event = NewEvent(namespace, name, delta, given, generation_time)
        async with self._changed:
            self._check_open()
            while len(self._waiting) >= self._most_waiting:
                self._check_progress()
                self._start_sender()
                await self._changed.wait()
                self._check_open()
            with self._guard:
                self._waiting.append((event, time.monotonic()))
            self._start_sender()
            if len(self._waiting) in {1, self._batch_events}:
                self._changed.notify_all()

    async def flush(self) -> None:
        """Send the waiting events; raise the error if they cannot be sent."""
        async with self._sending:
            try:
                await self._send_waiting()
            except Exception as error:
                self.error, self._failed_at = error, time.monotonic()
                await self._notify()
                raise

    async def close(self) -> None:
        """Send the waiting events and take no more. After an error you may call `flush` again."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()
        try:
            await self.flush()
        finally:
            if self._sender is not None:
                await self._sender.join()

    async def _send_waiting(self) -> None:
        """Send until every event that waits now is sent or refused.

        A refused event is set aside, and the others are sent again without it; their
        tokens make that safe. Raises an error that is not about an event; then the
        remaining events stay waiting.
        """
        until = self.sent + self.refused_events + len(self._waiting)
        size = self._batch_events
        while (left := until - self.sent - self.refused_events) > 0:
            events = self._next(min(size, left))
            try:
                await self._send(events)
            except CountersError as error:
                index = index_of(error, events)
                if events[0].namespace in self._best_effort:
                    # It might count twice if it were sent again.
                    self._set_aside(0, error)
                elif index is not None and _is_for_best_effort(error):
                    self._best_effort.add(events[index].namespace)
                elif index is not None:
                    self._set_aside(index, error)
                elif len(events) > 1 and is_for_good(error):
                    # The batch may be too large: the service may take one half of it.
                    size = len(events) // 2
                else:
                    raise
            else:
                with self._guard:
                    for _ in events:
                        self._waiting.popleft()
                self.sent += len(events)
                size, self.error = self._batch_events, None
            await self._notify()

    def _next(self, most: int) -> list[NewEvent]:
        """Return the next events to send: a batch, or one event to a best-effort namespace."""
        with self._guard:
            events = [event for event, _ in islice(self._waiting, most)]
        for index, event in enumerate(events):
            if event.namespace in self._best_effort:
                return events[: index or 1]
        return events

    async def _send(self, events: list[NewEvent]) -> None:
        one = events[0]
        if one.namespace in self._best_effort:
            await self._client.add(one.namespace, one.name, one.delta, best_effort=True)
        else:
            await self._client.add_many(events)

    def _set_aside(self, index: int, error: CountersError) -> None:
        with self._guard:
            event, _ = self._waiting[index]
            del self._waiting[index]
        self.refused_events += 1
        refused = Refused(event, about_one(event, error))
        self._refused.append(refused)
        if self._on_refused is None:
            logger.warning(
                "An event of counter %r in namespace %r was refused and does not count; the"
                " other events are sent without it. The service said: %s",
                event.name,
                event.namespace,
                refused.error,
            )
            return
        try:
            self._on_refused(refused)
        except Exception:
            # The event is in `refused`, and must not hold up the others.
            logger.exception("on_refused failed for %r", refused)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidArgument(
                "add", "this batcher is closed; the event was not added"
            )

    def _check_progress(self) -> None:
        """Raise BatcherFull if there is no room and sending failed."""
        if self.error is not None:
            raise BatcherFull(
                f"{self._most_waiting:,} events are waiting and the last attempt to send"
                f" failed: {self.error}"
            ) from self.error

    def _start_sender(self) -> None:
        """Start it at the first event, and a thread again in the child after a fork."""
        if self._sender is None or not self._sender.is_running():
            self._sender = AsyncBackground(self._send_when_due)

    async def _send_when_due(self) -> None:
        while True:
            async with self._changed:
                if self._closed:
                    return
                seconds = self._due_in_seconds()
                if seconds is None or seconds > 0:
                    await async_wait(self._changed, seconds)
                    continue
            # `error` keeps it; `flush`, and `add` without room, raise it.
            with suppress(Exception):
                await self.flush()

    def _due_in_seconds(self) -> float | None:
        """Return when to send next: 0 is now, None is that nothing waits."""
        with self._guard:
            if not self._waiting:
                return None
            now, oldest_at = time.monotonic(), self._waiting[0][1]
        if self.error is not None:
            pause_seconds = max(self._most_seconds, LEAST_PAUSE_SECONDS)
            return max(0.0, self._failed_at + pause_seconds - now)
        if len(self._waiting) >= self._batch_events:
            return 0.0
        return max(0.0, oldest_at + self._most_seconds - now)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Also after an error, because the added events did happen.
        await self.close()


def _is_for_best_effort(error: CountersError) -> bool:
    return isinstance(error, Problem) and error.code == "not-for-best-effort"
