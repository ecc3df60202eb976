"""A client's calls, each attempt and answer of them in its ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Literal, Self

from fold_counters_client import Client, NewEvent, Recorded, TokenConflict, new_token

from tests.harness.ledger import Ledger
from tests.harness.operations import Event, Operation
from tests.harness.patience import Patience
from tests.histories import Read


class Caller:
    """Calls the service, and repeats, hedges and contradicts itself on purpose."""

    def __init__(
        self, *, urls: Sequence[str], api_token: str, namespace: str, ledger: Ledger
    ) -> None:
        self._namespace = namespace
        self._ledger = ledger
        self._exits = ExitStack()
        self._patience = Patience(
            urls, api_token=api_token, ledger=ledger, exits=self._exits
        )
        self._webs = len(urls)
        self._threads = self._exits.enter_context(ThreadPoolExecutor(self._webs))
        # What was sent last, to be sent again.
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
        answer = self._patience.until_answered(
            lambda client: _add(client, made), operation
        )
        return self._acknowledge([made], [answer] if answer else None)

    def repeat(self) -> None:
        """Send the last event again."""
        if (made := self._last) is not None:
            answer = self._patience.until_answered(lambda client: _add(client, made))
            self._acknowledge([made], [answer] if answer else None)

    def hedge(self, operation: Operation) -> None:
        """Send the same event to every web process at once."""
        [event] = operation.events
        made = self._make(event)
        self._attempt([made])
        answers = self._threads.map(
            lambda first: self._patience.until_answered(
                lambda client: _add(client, made), first=first
            ),
            range(self._webs),
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

        outcome = self._patience.until_answered(offer)
        if outcome == "refused":
            self._ledger.conflict_refused()
        elif outcome is not None:
            self._ledger.wrong_answer(f"a conflict for {made.token} was {outcome}")

    def add_batch(self, operation: Operation) -> None:
        """Add all or nothing."""
        made = {event: self._make(event) for event in operation.events}
        events = [made[event] for event in operation.events]
        self._attempt(events)
        answers = self._patience.until_answered(
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

        answer = self._patience.until_answered(get)
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
            self._ledger.attempt(
                name=event.name, token=str(event.token), delta=event.delta
            )

    def _acknowledge(
        self, events: Sequence[NewEvent], answers: Sequence[Recorded] | None
    ) -> bool:
        if answers is None:
            return False
        for event, answer in zip(events, answers, strict=True):
            if answer.token != event.token:
                self._ledger.wrong_answer(f"{event} was answered for {answer.token}")
            self._ledger.acknowledged(
                name=event.name, token=str(event.token), duplicate=answer.duplicate
            )
        return True


def _add(client: Client, event: NewEvent) -> Recorded:
    return client.add(
        event.namespace,
        event.name,
        event.delta,
        token=event.token,
        generation_time=event.generation_time,
    )
