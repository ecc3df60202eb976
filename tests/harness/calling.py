"""A client's calls, with patience, and every attempt and answer in its ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Literal, Self, TypeVar

from fold_counters_client import (
    Client,
    CountersError,
    NewEvent,
    NoAnswer,
    Problem,
    Recorded,
    Retries,
    Throttled,
    TokenConflict,
    Unavailable,
    new_token,
)

from tests.harness.ledger import Ledger
from tests.harness.operations import Event, Operation
from tests.histories import Read

T = TypeVar("T")

_TIMEOUT_SECONDS = 3.0
_HASTY_SECONDS = 0.008
# How long an operation is tried, over all web processes, before it is given up.
_PATIENCE_SECONDS = 20.0
_RETRIES = Retries(
    attempts=2, first_delay_seconds=0.1, most_delay_seconds=0.3, budget_seconds=2
)
_ONCE = Retries(attempts=1)


class Caller:
    """Calls all web processes in turn, as a load balancer would."""

    def __init__(
        self,
        *,
        urls: Sequence[str],
        api_token: str,
        namespace: str,
        ledger: Ledger,
    ) -> None:
        self._namespace = namespace
        self._ledger = ledger
        self._exits = ExitStack()
        self._clients = [
            self._exits.enter_context(
                Client(
                    url, api_token, retries=_RETRIES, timeout_seconds=_TIMEOUT_SECONDS
                )
            )
            for url in urls
        ]
        self._hasty = [
            self._exits.enter_context(
                Client(url, api_token, retries=_ONCE, timeout_seconds=_HASTY_SECONDS)
            )
            for url in urls
        ]
        self._threads = self._exits.enter_context(ThreadPoolExecutor(len(urls)))
        self._turn = 0
        self._last: NewEvent | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.close()

    def add(self, operation: Operation) -> bool:
        """Add with one token until there is an answer; return whether there was one."""
        [event] = operation.events
        self._last = made = self._make(event)
        self._attempt([made])
        answer = self._until_answered(lambda client: _add(client, made), operation)
        return self._acknowledge([made], [answer] if answer else None)

    def repeat(self) -> None:
        """Send the last event again."""
        if (made := self._last) is not None:
            answer = self._until_answered(lambda client: _add(client, made))
            self._acknowledge([made], [answer] if answer else None)

    def hedge(self, operation: Operation) -> None:
        """Send the same event to every web process at once."""
        [event] = operation.events
        made = self._make(event)
        self._attempt([made])
        answers = self._threads.map(
            lambda first: self._until_answered(
                lambda client: _add(client, made), first=first
            ),
            range(len(self._clients)),
        )
        for answer in answers:
            self._acknowledge([made], [answer] if answer else None)

    def conflict(self) -> None:
        """Send the last token, which was acknowledged, with another delta."""
        made = self._last
        assert made is not None

        def offer(client: Client) -> str:
            try:
                client.add(
                    made.namespace,
                    made.name,
                    made.delta + 1,
                    token=made.token,
                    generation_time=made.generation_time,
                )
            except TokenConflict as conflict:
                if conflict.facts["first_delta"] == made.delta:
                    return "refused"
                return f"refused with the wrong facts {conflict.facts}"
            return "accepted"

        outcome = self._until_answered(offer)
        if outcome == "refused":
            self._ledger.conflict_refused()
        elif outcome is not None:
            self._ledger.wrong_answer(f"a conflict for {made.token} was {outcome}")

    def add_batch(self, operation: Operation) -> None:
        """Add all or nothing."""
        made = {event: self._make(event) for event in operation.events}
        events = [made[event] for event in operation.events]
        self._attempt(events)
        answers = self._until_answered(
            lambda client: client.add_many(events), operation
        )
        self._acknowledge(events, answers)

    def read(self, name: str, accuracy: Literal["accurate", "eventual"]) -> None:
        def get(client: Client) -> Read:
            began = time.monotonic()
            reading = client.get(self._namespace, name, accuracy=accuracy)
            ended = time.monotonic()
            # The answer speaks of the wall clock; this turns it into the ledgers' clock.
            behind = time.time() - time.monotonic()
            as_of = reading.as_of.timestamp() - behind
            return Read(began, ended, reading.count, accuracy, as_of)

        answer = self._until_answered(get)
        if answer is not None:
            self._ledger.read(name=name, read=answer)

    def _make(self, event: Event) -> NewEvent:
        at = None
        if event.age_seconds is not None:
            at = datetime.now(UTC) - timedelta(seconds=event.age_seconds)
        token = event.token or new_token()
        return NewEvent(self._namespace, event.name, event.delta, token, at)

    def _attempt(self, events: Sequence[NewEvent]) -> None:
        for event in dict.fromkeys(events):
            self._ledger.attempt(name=event.name, token=event.token, delta=event.delta)

    def _acknowledge(
        self, events: Sequence[NewEvent], answers: Sequence[Recorded] | None
    ) -> bool:
        if answers is None:
            return False
        for event, answer in zip(events, answers, strict=True):
            if answer.token != event.token:
                self._ledger.wrong_answer(f"{event} was answered for {answer.token}")
            self._ledger.acknowledged(
                name=event.name, token=event.token, duplicate=answer.duplicate
            )
        return True

    def _until_answered(
        self,
        send: Callable[[Client], T],
        operation: Operation | None = None,
        *,
        first: int | None = None,
    ) -> T | None:
        """Return the answer, None where the patience or the run ended without one."""
        if first is None:
            self._turn += 1
            first = self._turn
        deadline = time.monotonic() + _PATIENCE_SECONDS
        if operation is not None and operation.hasty:
            answer = self._try(self._hasty[first % len(self._hasty)], send)
            if answer is not None or operation.abandoned:
                return answer
        while time.monotonic() < deadline:
            answer = self._try(self._clients[first % len(self._clients)], send)
            if answer is not None:
                return answer
            first += 1
        self._ledger.trouble("given up")
        return None

    def _try(self, client: Client, send: Callable[[Client], T]) -> T | None:
        try:
            return send(client)
        except (NoAnswer, Unavailable, Throttled) as error:
            self._ledger.trouble(_kind(error))
        except Problem as problem:
            # Whatever is broken, the service says so; it neither refuses nor breaks.
            self._ledger.wrong_answer(f"{problem.status} {problem.code}: {problem}")
        return None


def _add(client: Client, event: NewEvent) -> Recorded:
    return client.add(
        event.namespace,
        event.name,
        event.delta,
        token=event.token,
        generation_time=event.generation_time,
    )


def _kind(error: CountersError) -> str:
    if isinstance(error, Problem):
        return f"{error.status} {error.code}"
    return f"no answer ({type(error.__cause__).__name__})"
