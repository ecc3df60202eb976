"""A batcher: gather events in memory and send many of them in one call."""

from __future__ import annotations

from asyncio import Condition, Lock
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fold_counters_client.arguments import GivenToken
from fold_counters_client.batching import Gathered, OnRefused, Reports, Step
from fold_counters_client.concurrency import AsyncBackground, async_wait
from fold_counters_client.errors import CountersError, InvalidArgument
from fold_counters_client.results import NewEvent
from fold_counters_client.tokens import new_token

if TYPE_CHECKING:
    from fold_counters_client._async.client import AsyncClient


class AsyncBatcher(Reports):
    """Gathers events and sends them in batches, in the background.

    It sends when `batch_events` events wait, or when the oldest has waited for
    `most_seconds`. Each event gets its token, and with it its time, when `add` is called,
    so sending it again is safe. An event is durable after it was sent: after `flush`, or
    after the `with` block. Threads may share a Batcher, and tasks an AsyncBatcher.

    An event that the service refuses for good is set aside in `refused`. The batcher calls
    `on_refused` with it, or logs a warning without one; `on_refused` must not flush or
    close. While the service cannot be reached, up to `most_waiting` events wait.
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
        self._client = client
        self._gathered = Gathered(
            batch_events=batch_events,
            most_seconds=most_seconds,
            most_waiting=most_waiting,
            on_refused=on_refused,
        )
        # Held for moments, never while something is sent.
        self._changed = Condition()
        # Held by the one that sends, so that events keep their order.
        self._sending = Lock()
        self._sender: AsyncBackground | None = None
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
        """Send what waits now; raise the error if it cannot be sent."""
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
                await self._sender.join()

    async def _try(self, step: Step) -> CountersError | None:
        try:
            if step.best_effort:
                [event] = step.events
                await self._client.add(
                    event.namespace, event.name, event.delta, best_effort=True
                )
            else:
                await self._client.add_many(step.events)
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
        """Start it at the first event, and a thread again in the child after a fork."""
        if self._sender is None or not self._sender.is_running():
            self._sender = AsyncBackground(self._send_when_due)

    async def _send_when_due(self) -> None:
        while True:
            async with self._changed:
                if self._closed:
                    return
                seconds = self._gathered.due_in_seconds()
                if seconds is None or seconds > 0:
                    await async_wait(self._changed, seconds)
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
