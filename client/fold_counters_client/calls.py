"""A call of the API as data, and the parts of requests that several calls share.

No input or output happens here, so the clients with and without `await` share it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Generic, TypeVar

import httpx

from fold_counters_client import arguments
from fold_counters_client.arguments import GivenToken
from fold_counters_client.errors import (
    CountersError,
    InvalidArgument,
    NoAnswer,
    UnexpectedAnswer,
    problem_of,
)
from fold_counters_client.results import Json, NewEvent
from fold_counters_client.tokens import new_token

T = TypeVar("T")

# The service's limits for one batch and one read.
BATCH_EVENTS = 10_000
READ_NAMES = 1_000


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call. `repeatable`: sending it twice has the same effect as sending it once."""

    method: str
    path: str
    read: Callable[[Json], T]
    params: dict[str, str] = field(default_factory=dict)
    body: Json | None = None
    repeatable: bool = True
    token: str | None = None
    # After a lost answer the repeat finds nothing left to do: that is success.
    done_if_gone: bool = False

    @property
    def request(self) -> Json:
        """Return the arguments of httpx's `request`."""
        request: Json = {
            "method": self.method,
            "url": self.path,
            "params": self.params,
        }
        return request if self.body is None else {**request, "json": self.body}

    def result(
        self, outcome: httpx.Response | httpx.TransportError, *, attempts: int
    ) -> T:
        """Return the result of the last answer, or raise its error."""
        try:
            if isinstance(outcome, httpx.Response):
                return self._result_of(outcome, attempts)
            tried = "1 attempt" if attempts == 1 else f"{attempts} attempts"
            raise NoAnswer(f"no answer after {tried}: {outcome!r}") from outcome
        except CountersError as error:
            error.token = self.token
            raise

    def _result_of(self, answer: httpx.Response, attempts: int) -> T:
        if not answer.is_success:
            if self.done_if_gone and attempts > 1 and answer.status_code == 404:
                return self.read({})
            raise problem_of(answer)
        try:
            return self.read(answer.json() if answer.content else {})
        except (ValueError, LookupError, TypeError) as error:
            # For example a proxy's page that asks for a password.
            raise UnexpectedAnswer(
                f"{answer.request.url} answered {answer.status_code}, but not with an"
                f" answer of the service: {answer.text[:80]!r}"
            ) from error


def in_batches(events: Iterable[NewEvent], size: int) -> Iterator[list[NewEvent]]:
    """Yield the events in lists of this size."""
    if not 1 <= size <= BATCH_EVENTS:
        raise InvalidArgument(
            "batch_events", f"a batch has 1 to {BATCH_EVENTS:,} events, not {size:,}"
        )
    yield from _pieces(events, size)


def in_reads(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield the names in lists that fit into one call."""
    if isinstance(names, str):
        raise InvalidArgument("names", f"{names!r} is one name; give a list of names")
    yield from _pieces((arguments.text("name", name) for name in names), READ_NAMES)


def named(name: str) -> dict[str, str]:
    """Return the field that holds a counter's name: a proxy might change it in a path."""
    return {"name": arguments.text("name", name)}


def in_namespace(name: str) -> str:
    return f"namespaces/{arguments.namespace(name)}"


def _pieces(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece


def span(since: datetime | None, until: datetime | None) -> dict[str, str]:
    ends = {}
    if since is not None:
        ends["from"] = arguments.stamp("since", since)
    if until is not None:
        ends["to"] = arguments.stamp("until", until)
    return ends


def token_and_time(
    token: GivenToken | None, generation_time: datetime | None, *, best_effort: bool
) -> dict[str, str]:
    """Return a body's token and time; refuse both for a best-effort namespace."""
    if best_effort:
        given = {"token": token, "generation_time": generation_time}
        for name, value in given.items():
            if value is not None:
                fault = f"a best-effort namespace takes no {name}; leave it out"
                raise InvalidArgument(name, fault)
        return {}
    # A UUIDv7 carries its own time.
    sent = new_token() if token is None else arguments.idempotency_token(token)
    body = {"token": sent}
    if generation_time is not None:
        body["generation_time"] = arguments.stamp("generation_time", generation_time)
    return body


def batch_event(event: NewEvent) -> Json:
    if not isinstance(event, NewEvent):
        raise InvalidArgument("events", f"{event!r} is not a NewEvent")
    return {
        "namespace": event.namespace,
        "name": event.name,
        "delta": event.delta,
        **token_and_time(event.token, event.generation_time, best_effort=False),
    }
