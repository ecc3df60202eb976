# Made from _async/client.py by `make sync-client`. Change that file, not this one.
"""The client: a method for each call of the service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from fold_counters_client import answers, arguments, calls
from fold_counters_client._sync.batcher import Batcher
from fold_counters_client.arguments import GivenToken
from fold_counters_client.batching import OnRefused
from fold_counters_client.calls import BATCH_EVENTS, Call, in_namespace
from fold_counters_client.concurrency import sleep
from fold_counters_client.errors import ClientClosed, CountersError
from fold_counters_client.results import (
    Accuracy,
    Added,
    Cleared,
    Namespace,
    NewEvent,
    Reading,
    Recorded,
    Series,
    Total,
)
from fold_counters_client.retrying import Retries

T = TypeVar("T")
_as_namespace = answers.reader(Namespace)


class Client:
    """Calls the service at `url` with an API token.

    A call that gets no answer is sent again with the same idempotency token, so it counts
    once. Raises Problem (the service refused) and NoAnswer (it never answered). Threads may
    share a Client, and tasks an AsyncClient.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        retries: Retries | None = None,
        timeout_seconds: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._retries = retries or Retries()
        self._http = httpx.Client(
            base_url=arguments.root_of_api(url),
            headers={"Authorization": f"Token {arguments.api_token(token)}"},
            timeout=timeout_seconds,
            transport=transport,
        )

    def add(
        self,
        namespace: str,
        name: str,
        delta: int = 1,
        *,
        token: GivenToken | None = None,
        generation_time: datetime | None = None,
        best_effort: bool = False,
    ) -> Recorded:
        """Add to a counter; durable when this returns. Without `token` the client makes one.

        `best_effort` is for best-effort namespaces: the call has no token, and is sent again
        only if it cannot have counted.
        """
        return self._write(
            Recorded,
            namespace,
            name,
            "add",
            calls.token_and_time(token, generation_time, best_effort=best_effort),
            delta=arguments.delta(delta),
        )

    def add_and_get(
        self,
        namespace: str,
        name: str,
        delta: int = 1,
        *,
        accuracy: Accuracy = "accurate",
        token: GivenToken | None = None,
        generation_time: datetime | None = None,
    ) -> Added:
        """Add to a counter and return its count; an accurate count includes this add."""
        best_effort = accuracy == "best-effort"
        return self._write(
            Added,
            namespace,
            name,
            "add",
            calls.token_and_time(token, generation_time, best_effort=best_effort),
            params={"get": accuracy},
            delta=arguments.delta(delta),
        )

    def add_many(
        self, events: Iterable[NewEvent], *, batch_events: int = BATCH_EVENTS
    ) -> list[Recorded]:
        """Add events in batches, each all or nothing; return one answer per event, in order.

        An error has the earlier answers in `recorded`. If you call again with the same events,
        none of them counts twice.
        """
        recorded: list[Recorded] = []
        for batch in calls.in_batches(events, batch_events):
            try:
                body = {"events": [calls.batch_event(event) for event in batch]}
                call = Call("POST", "events", answers.results(Recorded), body=body)
                answered = self._send(call)
            except CountersError as error:
                error.recorded = tuple(recorded)
                raise
            recorded.extend(answered)
        return recorded

    def batcher(
        self,
        *,
        batch_events: int = 1_000,
        most_seconds: float = 1.0,
        most_waiting: int = 10_000,
        on_refused: OnRefused | None = None,
    ) -> Batcher:
        """Return a context manager that gathers events and sends them in batches."""
        return Batcher(
            self,
            batch_events=batch_events,
            most_seconds=most_seconds,
            most_waiting=most_waiting,
            on_refused=on_refused,
        )

    def get(
        self, namespace: str, name: str, *, accuracy: Accuracy | None = None
    ) -> Reading:
        """Read a counter. The default accuracy is the namespace's counter type."""
        [reading] = self.get_many(namespace, [name], accuracy=accuracy)
        if reading is None:
            raise answers.no_counter(namespace, name)
        return reading

    def get_many(
        self,
        namespace: str,
        names: Iterable[str],
        *,
        accuracy: Accuracy | None = None,
    ) -> list[Reading | None]:
        """Read many counters, in the order of the names; None for a missing counter.

        Up to 1,000 names are one call and one snapshot.
        """
        found: list[Reading | None] = []
        for some in calls.in_reads(names):
            call = Call(
                "POST",
                f"{in_namespace(namespace)}/read",
                answers.readings(namespace, some),
                body={"names": some} | ({"accuracy": accuracy} if accuracy else {}),
            )
            readings = self._send(call)
            found.extend(readings)
        return found

    def clear(
        self,
        namespace: str,
        name: str,
        *,
        token: GivenToken | None = None,
        best_effort: bool = False,
    ) -> Cleared:
        """Set a counter to 0; adds at the same time are kept."""
        fields = calls.token_and_time(token, None, best_effort=best_effort)
        return self._write(Cleared, namespace, name, "clear", fields)

    def list(
        self,
        namespace: str,
        *,
        ordering: str = "name",
        search: str = "",
        page_counters: int = 500,
    ) -> Iterator[Reading]:
        """Yield a namespace's counters, page after page; `-count` lists the greatest first."""
        path = f"{in_namespace(namespace)}/counters"
        params = {"ordering": ordering, "limit": str(page_counters)}
        if search:
            params["search"] = arguments.text("search", search)
        while True:
            call = Call("GET", path, answers.page, params=params)
            readings, cursor = self._send(call)
            yield from readings
            if cursor is None:
                return
            params = {**params, "cursor": cursor}

    def series(
        self,
        namespace: str,
        name: str,
        *,
        bucket: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        gaps: bool = False,
    ) -> Series:
        """Read sums per minute, hour or day; `until` is exclusive. See docs/api.md."""
        params = {"gaps": "true" if gaps else "false", **calls.span(since, until)}
        if bucket:
            params["bucket"] = bucket
        return self._read(Series, namespace, name, "series", params)

    def total(
        self,
        namespace: str,
        name: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Total:
        """Sum a counter's series from `since` until `until`; None is an open end."""
        params = calls.span(since, until)
        return self._read(Total, namespace, name, "total", params)

    def namespaces(self) -> tuple[Namespace, ...]:
        """Return the namespaces in which you have any right."""
        call = Call("GET", "namespaces", answers.results(Namespace))
        found = self._send(call)
        return tuple(found)

    def namespace(self, name: str) -> Namespace:
        return self._send(Call("GET", in_namespace(name), _as_namespace))

    def create_namespace(self, name: str, **settings: Any) -> Namespace:
        """Create a namespace; the settings are the fields of Namespace."""
        body = {"name": name, **settings}
        return self._send(
            Call("POST", "namespaces", _as_namespace, body=body, repeatable=False)
        )

    def change_namespace(self, name: str, **settings: Any) -> Namespace:
        return self._send(
            Call("PATCH", in_namespace(name), _as_namespace, body=settings)
        )

    def delete_counter(self, namespace: str, name: str) -> None:
        """Permanently delete a counter with all its events."""
        self._send(
            Call(
                "POST",
                f"{in_namespace(namespace)}/delete",
                lambda answer: answers.check_name(name, answer) if answer else None,
                body={**calls.named(name), "confirm": name},
                done_if_gone=True,
            )
        )

    def delete_namespace(self, name: str) -> None:
        """Permanently delete a namespace with everything in it."""
        self._send(
            Call(
                "DELETE",
                in_namespace(name),
                lambda _: None,
                params={"confirm": name},
                done_if_gone=True,
            )
        )

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(
        self,
        kind: type[T],
        namespace: str,
        name: str,
        action: str,
        token_and_time: dict[str, str],
        *,
        params: dict[str, str] | None = None,
        **fields: Any,
    ) -> T:
        token = token_and_time.get("token")
        return self._send(
            Call(
                "POST",
                f"{in_namespace(namespace)}/{action}",
                answers.about(name, kind),
                params=params or {},
                body={**calls.named(name), **fields, **token_and_time},
                repeatable=token is not None,
                token=token,
            )
        )

    def _read(
        self,
        kind: type[T],
        namespace: str,
        name: str,
        action: str,
        params: dict[str, str],
    ) -> T:
        return self._send(
            Call(
                "GET",
                f"{in_namespace(namespace)}/{action}",
                answers.about(name, kind),
                params={**calls.named(name), **params},
            )
        )

    def _send(self, call: Call[T]) -> T:
        if self._http.is_closed:
            raise ClientClosed
        attempts, waited_seconds = 0, 0.0
        while True:
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.request(**call.request)
            except httpx.TransportError as error:
                outcome = error
            attempts += 1
            delay_seconds = self._retries.delay(
                outcome,
                attempt=attempts,
                waited_seconds=waited_seconds,
                repeatable=call.repeatable,
            )
            if delay_seconds is None:
                return call.result(outcome, attempts=attempts)
            waited_seconds += delay_seconds
            sleep(delay_seconds)
