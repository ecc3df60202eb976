"""Gathering events, so that many of them travel together."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from threading import Lock
from types import TracebackType
from typing import Self

from fold_counters_client.calls import BATCH_EVENTS
from fold_counters_client.results import NewEvent, Recorded
from fold_counters_client.tokens import new_token


class Batcher:
    """Gathers events; sends them when there are enough, or old enough, and at the end.

    Each event gets its token, and with it its time, when `add` is called; so what failed
    to be sent stays in `waiting`, and sending it again is safe. An event is durable once
    it was sent: after `flush`, or after the `with` block. Threads may share one.
    """

    def __init__(
        self,
        send: Callable[[list[NewEvent]], list[Recorded]],
        *,
        batch_events: int,
        most_seconds: float,
    ) -> None:
        if not 1 <= batch_events <= BATCH_EVENTS:
            raise ValueError(f"a batch has 1 to {BATCH_EVENTS:,} events")
        self._send = send
        self._batch_events = batch_events
        self._most_seconds = most_seconds
        self._oldest_at = 0.0
        self._lock = Lock()
        self.waiting: list[NewEvent] = []
        self.sent = 0

    def add(
        self,
        namespace: str,
        name: str,
        delta: int = 1,
        *,
        token: str | None = None,
        generation_time: datetime | None = None,
    ) -> None:
        """Gather one event. Sends in this call what became enough or old enough."""
        event = NewEvent(namespace, name, delta, token or new_token(), generation_time)
        with self._lock:
            if not self.waiting:
                self._oldest_at = time.monotonic()
            self.waiting.append(event)
            age_seconds = time.monotonic() - self._oldest_at
            if (
                len(self.waiting) >= self._batch_events
                or age_seconds >= self._most_seconds
            ):
                self._flush()

    def flush(self) -> None:
        """Send what waits; what cannot be sent goes on waiting."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        while batch := self.waiting[: self._batch_events]:
            self._send(batch)
            self.sent += len(batch)
            del self.waiting[: len(batch)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an error, too: what was added did happen.
        self.flush()
