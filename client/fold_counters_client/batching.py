"""Gather events in memory and send many of them in one call.

`Gathered` decides what is sent next, and what a refusal means. Batcher and AsyncBatcher
only wait and send.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from threading import Condition, Lock, Thread
from types import TracebackType
from typing import Self

from fold_counters_client.arguments import GivenToken
from fold_counters_client.calls import BATCH_EVENTS
from fold_counters_client.errors import (
    BatcherFull,
    CountersError,
    InvalidArgument,
    Problem,
)
from fold_counters_client.results import NewEvent, Recorded
from fold_counters_client.tokens import new_token

logger = logging.getLogger(__name__)

# `refused` keeps this many events; `refused_events` counts all of them.
KEPT_REFUSALS = 1_000
# The shortest pause after a failed attempt.
LEAST_PAUSE_SECONDS = 1.0
# These statuses do not depend on the events: access was denied, or the call came too early.
NOT_ABOUT_EVENTS = frozenset({401, 408, 429})


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that the service will never take, and why. It does not count."""

    event: NewEvent
    error: CountersError


@dataclass(frozen=True, slots=True)
class Step:
    """What to send next: a batch, or one event to a best-effort namespace."""

    events: list[NewEvent]
    best_effort: bool = False


OnRefused = Callable[[Refused], object]
# Yields what to send; receives the error of sending it, or None.
Steps = Generator[Step, CountersError | None, None]


class Gathered:
    """The waiting events in their order, and what became of the others."""

    def __init__(
        self,
        *,
        batch_events: int,
        most_seconds: float,
        most_waiting: int,
        on_refused: OnRefused | None,
        lock: AbstractContextManager[object] | None = None,
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
        self.batch_events = batch_events
        self.most_seconds = most_seconds
        self.most_waiting = most_waiting
        self.pause_seconds = max(most_seconds, LEAST_PAUSE_SECONDS)
        self.sent = self.refused_events = 0
        self.refused: deque[Refused] = deque(maxlen=KEPT_REFUSALS)
        # Why the last attempt failed; None when it did not.
        self.error: Exception | None = None
        self._failed_at = 0.0
        self._waiting: deque[tuple[NewEvent, float]] = deque()
        self._best_effort: set[str] = set()
        self._on_refused = on_refused
        self._lock = lock or nullcontext()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting(self) -> list[NewEvent]:
        with self._lock:
            return [event for event, _ in self._waiting]

    def put(self, event: NewEvent) -> bool:
        """Add a waiting event; return False if there is no room.

        Raises BatcherFull if there is no room and the last attempt to send failed.
        """
        with self._lock:
            if len(self._waiting) < self.most_waiting:
                self._waiting.append((event, time.monotonic()))
                return True
        if self.error is None:
            return False
        raise BatcherFull(
            f"{self.most_waiting:,} events are waiting and the last attempt to send failed:"
            f" {self.error}"
        ) from self.error

    def due_in_seconds(self) -> float | None:
        """Return when to send next: 0 is now, None is that nothing waits."""
        with self._lock:
            if not self._waiting:
                return None
            now = time.monotonic()
            if self.error is not None:
                return max(0.0, self._failed_at + self.pause_seconds - now)
            if len(self._waiting) >= self.batch_events:
                return 0.0
            return max(0.0, self._waiting[0][1] + self.most_seconds - now)

    def failed(self, error: Exception) -> None:
        self.error, self._failed_at = error, time.monotonic()

    def steps(self) -> Steps:
        """Yield what to send until every event that waits now is sent or refused.

        A refused event is set aside, and the others are sent again without it; their
        tokens make that safe. Raises an error that is not about an event; then the
        remaining events stay waiting.
        """
        settled = self.sent + self.refused_events
        until = settled + len(self._waiting)
        size = self.batch_events
        while (left := until - self.sent - self.refused_events) > 0:
            step = self._next(min(size, left))
            error = yield step
            if error is None:
                self._settle(len(step.events))
                size, self.error = self.batch_events, None
                continue
            index = _index_of(error, step)
            if index is not None:
                if isinstance(error, Problem) and error.code == "not-for-best-effort":
                    self._best_effort.add(step.events[index].namespace)
                else:
                    self._set_aside(index, error)
            elif len(step.events) > 1 and _is_for_good(error):
                # The batch may be too large: the service may take one half of it.
                size = len(step.events) // 2
            else:
                raise error

    def _next(self, most: int) -> Step:
        with self._lock:
            events = [event for event, _ in islice(self._waiting, most)]
        if events[0].namespace in self._best_effort:
            return Step(events[:1], best_effort=True)
        for index, event in enumerate(events):
            if event.namespace in self._best_effort:
                return Step(events[:index])
        return Step(events)

    def _settle(self, events: int) -> None:
        with self._lock:
            for _ in range(events):
                self._waiting.popleft()
        self.sent += events

    def _set_aside(self, index: int, error: CountersError) -> None:
        with self._lock:
            event, _ = self._waiting[index]
            del self._waiting[index]
        self.refused_events += 1
        refused = Refused(event, _about_one(event, error))
        self.refused.append(refused)
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


def _index_of(error: CountersError, step: Step) -> int | None:
    """Return the index of the event at fault; None where the error does not say."""
    if step.best_effort:
        # It might count twice if it were sent again.
        return 0
    if not _is_for_good(error):
        return None
    index = error.facts.get("index") if isinstance(error, Problem) else None
    if isinstance(index, int) and 0 <= index < len(step.events):
        return index
    return 0 if len(step.events) == 1 else None


def _about_one(event: NewEvent, error: CountersError) -> CountersError:
    """Return the error of a batch as an error of this event, without its place there."""
    if not isinstance(error, Problem):
        return error
    facts = {**error.facts}
    detail = error.detail.removeprefix(f"events[{facts.pop('index', None)}]: ")
    # The other events are sent again.
    detail = detail.removesuffix(" Nothing of the batch was added.")
    of_event = type(error)(error.status, error.code, detail, facts)
    of_event.token = str(event.token)
    return of_event


def _is_for_good(error: CountersError) -> bool:
    """Tell whether the same events would be refused again."""
    return (
        isinstance(error, Problem)
        and 400 <= error.status < 500
        and error.status not in NOT_ABOUT_EVENTS
    )


class _Reports:
    """What both batchers report about their events."""

    _gathered: Gathered

    @property
    def waiting(self) -> list[NewEvent]:
        """Return the events that were not sent yet."""
        return self._gathered.waiting

    @property
    def sent(self) -> int:
        """Return the number of events that the service took."""
        return self._gathered.sent

    @property
    def refused(self) -> list[Refused]:
        """Return the last 1,000 events that the service refused for good."""
        return list(self._gathered.refused)

    @property
    def refused_events(self) -> int:
        """Return the number of events that the service refused for good."""
        return self._gathered.refused_events

    @property
    def error(self) -> Exception | None:
        """Return why the last attempt to send failed; None if it did not."""
        return self._gathered.error


class Batcher(_Reports):
    """Gathers events; a thread sends them in batches.

    It sends when `batch_events` events wait, or when the oldest has waited for
    `most_seconds`. Each event gets its token, and with it its time, when `add` is called,
    so sending it again is safe. An event is durable after it was sent: after `flush`, or
    after the `with` block. Threads may share a batcher.

    An event that the service refuses for good is set aside in `refused`. The batcher calls
    `on_refused` with it, or logs a warning without one; `on_refused` must not flush or
    close. While the service cannot be reached, up to `most_waiting` events wait.
    """

    def __init__(
        self,
        send: Callable[[list[NewEvent]], list[Recorded]],
        send_best_effort: Callable[[NewEvent], object],
        *,
        batch_events: int = 1_000,
        most_seconds: float = 1.0,
        most_waiting: int = 10_000,
        on_refused: OnRefused | None = None,
    ) -> None:
        self._send, self._send_best_effort = send, send_best_effort
        # Held for moments, never while something is sent.
        self._changed = Condition()
        self._gathered = Gathered(
            batch_events=batch_events,
            most_seconds=most_seconds,
            most_waiting=most_waiting,
            on_refused=on_refused,
            lock=self._changed,
        )
        # One thread sends at a time, so that events keep their order.
        self._sending = Lock()
        self._sender: Thread | None = None
        self._closed = False

    def add(
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
        with self._changed:
            self._check_open()
            while not self._gathered.put(event):
                self._start_sender()
                self._changed.wait()
                self._check_open()
            self._start_sender()
            if len(self._gathered) in {1, self._gathered.batch_events}:
                self._changed.notify_all()

    def flush(self) -> None:
        """Send what waits now, in this thread; raise the error if it cannot be sent."""
        with self._sending:
            steps = self._gathered.steps()
            try:
                step = next(steps, None)
                while step is not None:
                    try:
                        step = steps.send(self._try(step))
                    except StopIteration:
                        step = None
                    with self._changed:
                        self._changed.notify_all()
            except Exception as error:
                self._gathered.failed(error)
                with self._changed:
                    self._changed.notify_all()
                raise

    def close(self) -> None:
        """Send what waits, and take no more. After an error you may call `flush` again."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        try:
            self.flush()
        finally:
            if self._sender is not None:
                self._sender.join()

    def _try(self, step: Step) -> CountersError | None:
        try:
            if step.best_effort:
                self._send_best_effort(step.events[0])
            else:
                self._send(step.events)
        except CountersError as error:
            return error
        return None

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidArgument(
                "add", "this batcher is closed; the event was not added"
            )

    def _start_sender(self) -> None:
        """Start the thread at the first event, and in the child after a fork."""
        if self._sender is None or not self._sender.is_alive():
            self._sender = Thread(
                target=self._send_when_due, name="counters-batcher", daemon=True
            )
            self._sender.start()

    def _send_when_due(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                seconds = self._gathered.due_in_seconds()
                if seconds is None or seconds > 0:
                    self._changed.wait(seconds)
                    continue
            # `error` keeps it; `flush`, and `add` without room, raise it.
            with suppress(Exception):
                self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an error too: the events that were added did happen.
        self.close()


class AsyncBatcher(_Reports):
    """Batcher for async programs: a task sends, and tasks may share a batcher."""

    def __init__(
        self,
        send: Callable[[list[NewEvent]], Awaitable[list[Recorded]]],
        send_best_effort: Callable[[NewEvent], Awaitable[object]],
        *,
        batch_events: int = 1_000,
        most_seconds: float = 1.0,
        most_waiting: int = 10_000,
        on_refused: OnRefused | None = None,
    ) -> None:
        self._send, self._send_best_effort = send, send_best_effort
        self._gathered = Gathered(
            batch_events=batch_events,
            most_seconds=most_seconds,
            most_waiting=most_waiting,
            on_refused=on_refused,
        )
        self._changed = asyncio.Condition()
        self._sending = asyncio.Lock()
        self._sender: asyncio.Task[None] | None = None
        self._closed = False

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
            while not self._gathered.put(event):
                self._start_sender()
                await self._changed.wait()
                self._check_open()
            self._start_sender()
            if len(self._gathered) in {1, self._gathered.batch_events}:
                self._changed.notify_all()

    async def flush(self) -> None:
        """Send what waits now, in this task; raise the error if it cannot be sent."""
        async with self._sending:
            steps = self._gathered.steps()
            try:
                step = next(steps, None)
                while step is not None:
                    try:
                        step = steps.send(await self._try(step))
                    except StopIteration:
                        step = None
                    await self._notify()
            except Exception as error:
                self._gathered.failed(error)
                await self._notify()
                raise

    async def close(self) -> None:
        """Send what waits, and take no more. After an error you may call `flush` again."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()
        try:
            await self.flush()
        finally:
            if self._sender is not None:
                await self._sender

    async def _try(self, step: Step) -> CountersError | None:
        try:
            if step.best_effort:
                await self._send_best_effort(step.events[0])
            else:
                await self._send(step.events)
        except CountersError as error:
            return error
        return None

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidArgument(
                "add", "this batcher is closed; the event was not added"
            )

    def _start_sender(self) -> None:
        """Start the task at the first event."""
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_when_due())

    async def _send_when_due(self) -> None:
        while True:
            async with self._changed:
                if self._closed:
                    return
                seconds = self._gathered.due_in_seconds()
                if seconds is None or seconds > 0:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(seconds):
                            await self._changed.wait()
                    continue
            # `error` keeps it; `flush`, and `add` without room, raise it.
            with suppress(Exception):
                await self.flush()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an error too: the events that were added did happen.
        await self.close()
