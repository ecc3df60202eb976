"""Arguments are checked before anything is sent, and no message contains a secret."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from fold_counters_client import (
    AsyncClient,
    Client,
    ClientClosed,
    CountersError,
    InvalidArgument,
    NewEvent,
    NoAnswer,
    Retries,
    UnexpectedAnswer,
)

from tools import sync_client

SECRET = "0123456789abcdef" * 4
RECORDED = {
    "name": "hits",
    "token": "t",
    "event_time": "2026-01-01T00:00:00Z",
    "duplicate": False,
}
both = pytest.mark.parametrize("kind", [Client, AsyncClient])


@both
@pytest.mark.parametrize(
    "url",
    [
        "host:8000",
        "localhost",
        "",
        "ftp://host",
        "http://",
        "http://host:port",
        "http://[::1",
        "//host",
        "http://host/?a=b",
        "http://host/#top",
        "http://ho st/",
        "http://host\n.example",
        f"http://user:{SECRET}@host",
        42,
        None,
    ],
)
def test_client__refuses_what_is_no_address(kind: Any, url: object) -> None:
    with pytest.raises(InvalidArgument, match=r"^url: ") as refused:
        kind(url, "secret")

    assert SECRET not in shown(refused.value)


@both
@pytest.mark.parametrize(
    "url", ["http://host:8000", " https://host/ ", "http://[::1]:8000/below"]
)
def test_client__takes_an_address(kind: Any, url: str) -> None:
    kind(url, "secret")


@both
@pytest.mark.parametrize(
    "token",
    [
        "",
        " \n",
        f"{SECRET} {SECRET}",
        f"a\n{SECRET}",
        f"{SECRET}é",
        f"{SECRET}\x00",
        42,
    ],
)
def test_client__refuses_what_is_no_api_token(kind: Any, token: object) -> None:
    with pytest.raises(InvalidArgument, match=r"^token: ") as refused:
        kind("http://host", token)

    assert SECRET not in shown(refused.value)


def test_client__takes_a_token_as_its_file_has_it() -> None:
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["Authorization"])
        return httpx.Response(200, json=RECORDED)

    transport = httpx.MockTransport(answer)
    with Client("http://host", f"{SECRET}\r\n", transport=transport) as client:
        client.add("ns", "hits")

    assert sent == [f"Token {SECRET}"]
    assert SECRET not in repr(client)


def test_error__tells_no_secret_and_ends_at_once(waits: list[float]) -> None:
    """A request that cannot be sent at all is not tried six times."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError("Illegal header value")

    transport = httpx.MockTransport(answer)
    with (
        Client("http://host", SECRET, transport=transport) as client,
        pytest.raises(NoAnswer, match="after 1 attempt") as caught,
    ):
        client.add("ns", "hits")

    assert waits == []
    assert SECRET not in shown(caught.value)


BAD_CALLS: dict[str, Callable[[Client], object]] = {
    "name number": lambda client: client.get("ns", 42),  # type: ignore[arg-type]
    "name none": lambda client: client.get("ns", None),  # type: ignore[arg-type]
    "name empty": lambda client: client.add("ns", ""),
    "name among many": lambda client: client.get_many("ns", ["a", "\ud800"]),
    "names": lambda client: client.get_many("ns", "abc"),
    "name of total": lambda client: client.total("ns", ""),
    "name surrogate": lambda client: client.add("ns", "\ud800"),
    "name to clear": lambda client: client.clear("ns", "\ud800"),
    "name of series": lambda client: client.series("ns", "\ud800"),
    "name to delete": lambda client: client.delete_counter("ns", "\ud800"),
    "namespace empty": lambda client: client.add("", "hits"),
    "namespace surrogate": lambda client: client.get("\ud800", "hits"),
    "namespace of get": lambda client: client.get("page/home", "demo"),
    "namespace of an event": lambda client: NewEvent("page/home", "demo"),
    "namespace to delete": lambda client: client.delete_namespace(""),
    "namespace number": lambda client: client.namespace(3),  # type: ignore[arg-type]
    "namespace to list": lambda client: list(client.list("")),
    "search": lambda client: list(client.list("ns", search="\ud800")),
    "delta float": lambda client: client.add("ns", "a", 1.0),  # type: ignore[arg-type]
    "delta bool": lambda client: client.add("ns", "a", True),
    "delta text": lambda client: client.add("ns", "a", "1"),  # type: ignore[arg-type]
    "delta large": lambda client: client.add("ns", "a", 2**63),
    "delta huge": lambda client: client.add("ns", "a", 10**5000),
    "token empty": lambda client: client.add("ns", "a", token=""),
    "token of spaces": lambda client: client.add("ns", "a", token="  "),
    "token to get": lambda client: client.add_and_get("ns", "a", token=""),
    "token to clear": lambda client: client.clear("ns", "a", token=""),
    "token bool": lambda client: client.add("ns", "a", token=True),
    "token long": lambda client: client.add("ns", "a", token="x" * 256),
    "token huge": lambda client: client.add("ns", "a", token=10**5000),
    "token float": lambda client: client.add("ns", "a", token=1.5),  # type: ignore[arg-type]
    "token surrogate": lambda client: client.add("ns", "a", token="\ud800"),
    "token of best effort": lambda client: client.add(
        "ns", "a", token="t", best_effort=True
    ),
    "generation_time": lambda client: client.add(
        "ns",
        "a",
        generation_time=datetime(2026, 1, 1),  # noqa: DTZ001
    ),
    "generation_time of best effort": lambda client: client.add(
        "ns", "a", generation_time=datetime.now().astimezone(), best_effort=True
    ),
    "since": lambda client: client.series(
        "ns",
        "a",
        since=datetime(2026, 1, 1),  # noqa: DTZ001
    ),
    "batch_events": lambda client: client.add_many([], batch_events=0),
    "events": lambda client: client.add_many([("ns", "a")]),  # type: ignore[list-item]
    "token of an event": lambda client: NewEvent("ns", "a", token=""),
    "name of an event": lambda client: NewEvent("ns", "\ud800"),
    "delta of an event": lambda client: NewEvent("ns", "a", 2**63),
}


@pytest.mark.parametrize("call", BAD_CALLS)
def test_call__refuses_at_once_what_no_service_takes(call: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request)

    transport = httpx.MockTransport(answer)
    field = call.split()[0]
    with (
        Client("http://host", SECRET, transport=transport) as client,
        pytest.raises(InvalidArgument, match=rf"^{field}: "),
    ):
        BAD_CALLS[call](client)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("delta float", "delta: 1.0 is a float; give the int 1."),
        ("token float", "token: 1.5 is not text, a whole number or a UUID."),
        (
            "namespace of get",
            "namespace: 'page/home' is not the name of a namespace, which has letters, digits,"
            " `.`, `_` and `-`. Give the namespace first, then the counter's name.",
        ),
    ],
)
def test_call__says_what_would_be_right(call: str, said: str) -> None:
    with Client("http://host", "s") as client, pytest.raises(InvalidArgument) as error:
        BAD_CALLS[call](client)

    assert str(error.value) == said


def test_call__of_a_closed_client_is_an_error_of_ours() -> None:
    client = Client("http://host", "s")
    client.close()

    with pytest.raises(ClientClosed, match="This client is closed"):
        client.add("ns", "hits")

    async def call_closed() -> None:
        client = AsyncClient("http://host", "s")
        await client.close()
        await client.add("ns", "hits")

    with pytest.raises(ClientClosed, match="This client is closed"):
        asyncio.run(call_closed())


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (17, "17"),
        (
            UUID("6F9619FF8B864011B42D00C04FC964FF"),
            "6f9619ff-8b86-4011-b42d-00c04fc964ff",
        ),
    ],
)
def test_token__may_be_a_number_or_a_uuid(token: int | UUID, text: str) -> None:
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content)["token"])
        return httpx.Response(200, json=RECORDED)

    with Client("http://h", "s", transport=httpx.MockTransport(answer)) as client:
        client.add("ns", "hits", token=token)

    assert sent == [text]
    assert NewEvent("ns", "a", token=token).token == text


@pytest.mark.parametrize(
    "answered",
    [
        httpx.Response(200, text="<h1>Sign in</h1>"),
        httpx.Response(200, json=["no", "object"]),
        httpx.Response(200, json={"other": "fields"}),
        httpx.Response(204),
    ],
)
def test_answer__of_somebody_else_is_an_error_of_ours(answered: httpx.Response) -> None:
    transport = httpx.MockTransport(lambda request: answered)
    with (
        Client("http://host", "s", transport=transport) as client,
        pytest.raises(
            UnexpectedAnswer, match="but not with an answer of the service"
        ) as no,
    ):
        client.add("ns", "hits", token="mine")

    assert no.value.token == "mine"


@pytest.mark.parametrize(
    ("field", "value"),
    [("attempts", 0), ("budget_seconds", -1), ("most_delay_seconds", float("nan"))],
)
def test_retries__that_make_no_sense_are_refused(field: str, value: float) -> None:
    with pytest.raises(InvalidArgument, match=f"^{field}: "):
        Retries(**{field: value})  # type: ignore[arg-type]


def test_sync_client__is_made_from_the_async_client() -> None:
    for path, code in sync_client.generate().items():
        assert path.read_text() == code, "run `make sync-client`"


def shown(error: CountersError) -> str:
    return repr(error) + "".join(traceback.format_exception(error))
