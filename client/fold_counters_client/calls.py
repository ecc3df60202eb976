"""Every call of the API as data: what to send, and how to read the answer.

No input or output happens here, so the clients with and without `await` share it all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Generic, TypeVar

from fold_counters_client import answers, arguments, results
from fold_counters_client.arguments import GivenToken
from fold_counters_client.errors import InvalidArgument
from fold_counters_client.results import Json
from fold_counters_client.tokens import new_token

T = TypeVar("T")

# The service takes no more in one batch, and in one read.
BATCH_EVENTS = 10_000
READ_NAMES = 1_000


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call. `repeatable`: sending it twice does no more than sending it once."""

    method: str
    path: str
    read: Callable[[Json], T]
    params: dict[str, str] = field(default_factory=dict)
    body: Json | None = None
    repeatable: bool = True
    token: str | None = None
    # After a lost answer the repeat finds nothing left to do: that is success.
    done_if_gone: bool = False


def add(
    namespace: str,
    name: str,
    delta: int,
    *,
    token: GivenToken | None,
    generation_time: datetime | None,
    best_effort: bool,
) -> Call[results.Recorded]:
    body, sent = _event(token, generation_time, best_effort=best_effort)
    return Call(
        "POST",
        f"{in_namespace(namespace)}/add",
        _about(name, answers.recorded),
        body={**named(name), "delta": arguments.delta(delta), **body},
        repeatable=not best_effort,
        token=sent,
    )


def add_and_get(
    namespace: str,
    name: str,
    delta: int,
    *,
    accuracy: results.Accuracy,
    token: GivenToken | None,
    generation_time: datetime | None,
) -> Call[results.Added]:
    best_effort = accuracy == "best-effort"
    body, sent = _event(token, generation_time, best_effort=best_effort)
    return Call(
        "POST",
        f"{in_namespace(namespace)}/add",
        _about(name, answers.added),
        params={"get": accuracy},
        body={**named(name), "delta": arguments.delta(delta), **body},
        repeatable=not best_effort,
        token=sent,
    )


def add_batch(events: list[results.NewEvent]) -> Call[list[results.Recorded]]:
    return Call(
        "POST",
        "events",
        lambda answer: [answers.recorded(one) for one in answer["results"]],
        body={"events": [_batch_event(event) for event in events]},
    )


def in_batches(
    events: Iterable[results.NewEvent], size: int
) -> Iterator[list[results.NewEvent]]:
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
    yield from _pieces(names, READ_NAMES)


def get(
    namespace: str, name: str, *, accuracy: results.Accuracy | None
) -> Call[results.Reading]:
    def read(answer: Json) -> results.Reading:
        [reading] = many.read(answer)
        if reading is None:
            raise answers.no_counter(namespace, name)
        return reading

    many = get_many(namespace, [name], accuracy=accuracy)
    return Call(many.method, many.path, read, body=many.body)


def get_many(
    namespace: str, names: Sequence[str], *, accuracy: results.Accuracy | None
) -> Call[list[results.Reading | None]]:
    asked = [arguments.text("name", name) for name in names]
    return Call(
        "POST",
        f"{in_namespace(namespace)}/read",
        lambda answer: answers.readings(answer, namespace, asked),
        body={"names": asked} | ({"accuracy": accuracy} if accuracy else {}),
    )


def clear(
    namespace: str, name: str, *, token: GivenToken | None, best_effort: bool
) -> Call[results.Cleared]:
    body, sent = _event(token, None, best_effort=best_effort)
    return Call(
        "POST",
        f"{in_namespace(namespace)}/clear",
        _about(name, answers.cleared),
        body={**named(name), **body},
        repeatable=not best_effort,
        token=sent,
    )


def list_page(
    namespace: str, *, ordering: str, search: str, limit: int, cursor: str | None
) -> Call[results.Page]:
    params = {"ordering": ordering, "limit": str(limit)}
    if search:
        params["search"] = arguments.text("search", search)
    if cursor is not None:
        params["cursor"] = cursor
    path = f"{in_namespace(namespace)}/counters"
    return Call("GET", path, answers.page, params=params)


def series(
    namespace: str,
    name: str,
    *,
    bucket: str | None,
    since: datetime | None,
    until: datetime | None,
    gaps: bool,
) -> Call[results.Series]:
    params = {**named(name), "gaps": "true" if gaps else "false"}
    if bucket:
        params["bucket"] = bucket
    return Call(
        "GET",
        f"{in_namespace(namespace)}/series",
        _about(name, answers.series),
        params={**params, **_span(since, until)},
    )


def total(
    namespace: str, name: str, *, since: datetime | None, until: datetime | None
) -> Call[results.Total]:
    return Call(
        "GET",
        f"{in_namespace(namespace)}/total",
        _about(name, answers.total),
        params={**named(name), **_span(since, until)},
    )


def list_namespaces() -> Call[list[results.Namespace]]:
    return Call(
        "GET",
        "namespaces",
        lambda answer: [answers.namespace(one) for one in answer["results"]],
    )


def get_namespace(name: str) -> Call[results.Namespace]:
    return Call("GET", in_namespace(name), answers.namespace)


def create_namespace(name: str, settings: Json) -> Call[results.Namespace]:
    body = {"name": name, **settings}
    return Call("POST", "namespaces", answers.namespace, body=body, repeatable=False)


def change_namespace(name: str, settings: Json) -> Call[results.Namespace]:
    path = in_namespace(name)
    return Call("PATCH", path, answers.namespace, body=settings)


def delete_counter(namespace: str, name: str) -> Call[None]:
    return Call(
        "POST",
        f"{in_namespace(namespace)}/delete",
        lambda answer: answers.check_name(name, answer) if answer else None,
        body={**named(name), "confirm": name},
        done_if_gone=True,
    )


def delete_namespace(name: str) -> Call[None]:
    return Call(
        "DELETE",
        in_namespace(name),
        lambda _: None,
        params={"confirm": name},
        done_if_gone=True,
    )


def named(name: str) -> dict[str, str]:
    """Return the field that holds a counter's name: a proxy might change it in a path."""
    return {"name": arguments.text("name", name)}


def in_namespace(name: str) -> str:
    return f"namespaces/{arguments.namespace(name)}"


def _pieces(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece


def _about(name: str, read: Callable[[Json], T]) -> Callable[[Json], T]:
    """Return a reader of answers that raises if one is about another counter."""

    def read_checked(answer: Json) -> T:
        answers.check_name(name, answer)
        return read(answer)

    return read_checked


def _span(since: datetime | None, until: datetime | None) -> dict[str, str]:
    span = {}
    if since is not None:
        span["from"] = arguments.stamp("since", since)
    if until is not None:
        span["to"] = arguments.stamp("until", until)
    return span


def _event(
    token: GivenToken | None, generation_time: datetime | None, *, best_effort: bool
) -> tuple[Json, str | None]:
    """Return a body's token and time; refuse both for a best-effort namespace."""
    if best_effort:
        given = {"token": token, "generation_time": generation_time}
        for name, value in given.items():
            if value is not None:
                fault = f"a best-effort namespace takes no {name}; leave it out"
                raise InvalidArgument(name, fault)
        return {}, None
    # A UUIDv7 carries its own time.
    sent = new_token() if token is None else arguments.idempotency_token(token)
    body = {"token": sent}
    if generation_time is not None:
        body["generation_time"] = arguments.stamp("generation_time", generation_time)
    return body, sent


def _batch_event(event: results.NewEvent) -> Json:
    if not isinstance(event, results.NewEvent):
        raise InvalidArgument("events", f"{event!r} is not a NewEvent")
    body, _ = _event(event.token, event.generation_time, best_effort=False)
    return {
        "namespace": event.namespace,
        "name": event.name,
        "delta": event.delta,
        **body,
    }
