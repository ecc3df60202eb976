"""Decide which waiting events a batcher sends next, and what a refusal means.

Batcher and AsyncBatcher only wait and send.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import islice
from threading import Lock

from fold_counters_client.calls import BATCH_EVENTS
from fold_counters_client.errors import (
    BatcherFull,
    CountersError,
    InvalidArgument,
    Problem,
)
from fold_counters_client.results import NewEvent

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
        # Held for moments, never while something is sent.
        self._lock = Lock()

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


class Reports:
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
