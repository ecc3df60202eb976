"""Decide when to send a call again."""

from __future__ import annotations

import random
from dataclasses import dataclass

import httpx

from fold_counters_client.errors import InvalidArgument

# A gateway that got no answer, or a service that could not take the call now.
RETRIED = frozenset({429, 502, 503, 504})
# Refused before anything was done.
UNTOUCHED = frozenset({429})
# This request can never be sent.
UNSENDABLE = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
# The request never left.
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Retries:
    """The number of attempts, and the pauses between them."""

    attempts: int = 6
    first_delay_seconds: float = 0.1
    most_delay_seconds: float = 5.0
    budget_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise InvalidArgument(
                "attempts", f"{self.attempts} is less than 1; the first attempt counts"
            )
        for field in ("first_delay_seconds", "most_delay_seconds", "budget_seconds"):
            seconds = getattr(self, field)
            if not seconds >= 0:
                raise InvalidArgument(field, f"{seconds} is not 0 or more")

    def delay(
        self,
        outcome: httpx.Response | httpx.TransportError,
        *,
        attempt: int,
        waited_seconds: float,
        repeatable: bool,
    ) -> float | None:
        """Return the seconds to wait before the next attempt, None to give up.

        `attempt` counts from 1. A call that is not `repeatable` is sent again only if it
        cannot have had an effect. The delay is random up to a limit that doubles ("full
        jitter"), so that clients which failed together do not retry together. It is never less
        than the service's Retry-After.
        """
        if attempt >= self.attempts or not _may_repeat(outcome, repeatable=repeatable):
            return None
        limit = min(
            self.most_delay_seconds, self.first_delay_seconds * 2 ** (attempt - 1)
        )
        delay = random.uniform(0, limit)  # noqa: S311
        if isinstance(outcome, httpx.Response):
            delay += _retry_after(outcome)
        return delay if waited_seconds + delay <= self.budget_seconds else None


def _may_repeat(
    outcome: httpx.Response | httpx.TransportError, *, repeatable: bool
) -> bool:
    if isinstance(outcome, UNSENDABLE):
        return False
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in (RETRIED if repeatable else UNTOUCHED)
    return repeatable or isinstance(outcome, UNSENT)


def _retry_after(response: httpx.Response) -> float:
    """Return the header's seconds; 0 without the header, or for a date, which we never send."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
