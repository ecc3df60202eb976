"""One call from its first attempt to its result, apart from how bytes are sent."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import httpx

from fold_counters_client.calls import Call
from fold_counters_client.errors import (
    CountersError,
    NoAnswer,
    UnexpectedAnswer,
    problem_of,
)
from fold_counters_client.retrying import Retries

T = TypeVar("T")


class Exchange(Generic[T]):
    """Tells a client what to send, whether to wait and send again, and the result."""

    def __init__(self, call: Call[T], retries: Retries) -> None:
        self.call = call
        self._retries = retries
        self._attempt = 0
        self._waited_seconds = 0.0
        self._outcome: httpx.Response | httpx.TransportError | None = None

    @property
    def request(self) -> dict[str, Any]:
        call = self.call
        request: dict[str, Any] = {
            "method": call.method,
            "url": call.path,
            "params": call.params,
        }
        return request if call.body is None else {**request, "json": call.body}

    def wait_after(
        self, outcome: httpx.Response | httpx.TransportError
    ) -> float | None:
        """Take the outcome of an attempt; return the wait before the next, None if done."""
        self._outcome = outcome
        self._attempt += 1
        delay = self._retries.delay(
            outcome,
            attempt=self._attempt,
            waited_seconds=self._waited_seconds,
            repeatable=self.call.repeatable,
        )
        self._waited_seconds += delay or 0
        return delay

    def result(self) -> T:
        """Return what the last answer says, or raise what it refuses."""
        outcome = self._outcome
        if isinstance(outcome, httpx.Response):
            repeated = self._attempt > 1
            if outcome.is_success:
                return self._read(outcome)
            if self.call.done_if_gone and repeated and outcome.status_code == 404:
                return self.call.read({})
            raise self._with_token(problem_of(outcome))
        error = self._with_token(
            NoAnswer(f"no answer after {self._tried()}: {outcome!r}")
        )
        raise error from outcome

    def _read(self, answer: httpx.Response) -> T:
        try:
            return self.call.read(answer.json() if answer.content else {})
        except (ValueError, LookupError, TypeError) as error:
            # For example a proxy's page that asks for a password.
            raise self._with_token(
                UnexpectedAnswer(
                    f"{answer.request.url} answered {answer.status_code}, but not with an"
                    f" answer of the service: {answer.text[:80]!r}"
                )
            ) from error
        except UnexpectedAnswer as error:
            raise self._with_token(error) from None

    def _tried(self) -> str:
        return "1 attempt" if self._attempt == 1 else f"{self._attempt} attempts"

    def _with_token(self, error: CountersError) -> CountersError:
        error.token = self.call.token
        return error
