"""Sending one thing until it is answered: web process after web process, same token."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TypeVar

from fold_counters_client import (
    Client,
    CountersError,
    NoAnswer,
    Problem,
    Retries,
    Throttled,
    Unavailable,
)

from tests.harness.ledger import Ledger
from tests.harness.operations import Operation

T = TypeVar("T")

_TIMEOUT_SECONDS = 3.0
_HASTY_SECONDS = 0.008
# How long an operation is tried, over all web processes, before it is given up.
_PATIENCE_SECONDS = 20.0
_RETRIES = Retries(
    attempts=2, first_delay_seconds=0.1, most_delay_seconds=0.3, budget_seconds=2
)
_ONCE = Retries(attempts=1)


class Patience:
    """Clients for all web processes, used in turn, as a load balancer would."""

    def __init__(
        self, urls: Sequence[str], *, api_token: str, ledger: Ledger, exits: ExitStack
    ) -> None:
        self._ledger = ledger
        self._turn = 0

        def clients(retries: Retries, timeout_seconds: float) -> list[Client]:
            return [
                exits.enter_context(
                    Client(
                        url,
                        api_token,
                        retries=retries,
                        timeout_seconds=timeout_seconds,
                    )
                )
                for url in urls
            ]

        self._clients = clients(_RETRIES, _TIMEOUT_SECONDS)
        self._hasty = clients(_ONCE, _HASTY_SECONDS)

    def until_answered(
        self,
        send: Callable[[Client], T],
        operation: Operation | None = None,
        *,
        first: int | None = None,
    ) -> T | None:
        """Return the answer, None where none came in time.

        `operation` may say that the first attempt is hasty; `first` is the number of the
        web process to begin with.
        """
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


def _kind(error: CountersError) -> str:
    if isinstance(error, Problem):
        return f"{error.status} {error.code}"
    return f"no answer ({type(error.__cause__).__name__})"
