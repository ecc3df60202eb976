"""Requests that are too large, or shaped to be taken for another one, over the wire."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from knox.models import AuthToken
from pytest_django import DjangoAssertNumQueries

from tests.rest.conftest import Api, problem
from tests.security.conftest import Server

pytestmark = pytest.mark.django_db

COUNTER = "/api/v1/namespaces/none/counters/hits"


@pytest.fixture(autouse=True)
def _lives(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "server" in request.fixturenames:
        assert request.getfixturevalue("server").answers()


def send(server: Server, request: bytes) -> tuple[int, bytes]:
    """Send bytes; return the status and the rest of the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as wire:
        wire.sendall(request)
        wire.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), head + body


def head(server: Server, line: str, *headers: str) -> bytes:
    lines = [line, "Host: 127.0.0.1", *headers, f"Authorization: Token {server.token}"]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("line", "headers"),
    [
        (f"GET /healthz?{'a' * 5000} HTTP/1.1", []),
        ("GET /healthz HTTP/1.1", [f"X-Large: {'a' * 9000}"]),
        ("GET /healthz HTTP/1.1", [f"X-Many-{i}: a" for i in range(200)]),
        ("POST /healthz HTTP/1.1", ["Transfer-Encoding: chunked", "Content-Length: 5"]),
        ("POST /healthz HTTP/1.1", ["Content-Length: 5", "Content-Length: 6"]),
        ("POST /healthz HTTP/1.1", ["Content-Length: -5"]),
        ("GET /healthz HTTP/9.9", []),
    ],
    ids=["url", "header", "headers", "two lengths", "lengths", "negative", "version"],
)
def test_server__refuses_what_is_too_large_or_ambiguous(
    server: Server, line: str, headers: list[str]
) -> None:
    status, answer = send(server, head(server, line, *headers))

    assert 400 <= status < 500
    assert b"Traceback" not in answer


def test_body__needs_a_length(server: Server) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"delta": 1}'

    url = f"{server.url}{COUNTER}/clear"
    refused = httpx.post(url, content=chunks(), headers=server.headers)

    assert (refused.status_code, refused.json()["code"]) == (411, "length-required")
    # With a length it gets as far as the name.
    assert httpx.post(url, json={}, headers=server.headers).status_code == 404


@pytest.mark.parametrize(
    ("path", "most"),
    [
        (f"{COUNTER}/add", 65_536),
        (f"{COUNTER}/clear", 65_536),
        ("/api/v1/namespaces", 65_536),
        ("/api/v1/events", settings.DATA_UPLOAD_MAX_MEMORY_SIZE),
    ],
)
def test_body__that_is_too_large_is_not_read(
    server: Server, path: str, most: int
) -> None:
    length = f"Content-Length: {most + 1}"

    # Nothing is sent of the body: who waits for it gets no answer.
    status, answer = send(server, head(server, f"POST {path} HTTP/1.1", length))

    assert status == 413, answer
    assert b"too-large" in answer


def test_body__of_a_stranger_is_not_read(server: Server) -> None:
    request = b"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"

    status, _ = send(server, request + b"Content-Length: 1000000\r\n\r\n")

    assert status == 401


@pytest.mark.parametrize("deep", [b"[" * 60_000, b'{"a":' * 12_000])
def test_body__that_is_deep_is_a_bad_one(server: Server, deep: bytes) -> None:
    answer = httpx.post(
        f"{server.url}/api/v1/events",
        content=deep,
        headers=server.headers | {"Content-Type": "application/json"},
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "parse-error")


def test_body__with_many_fields_is_refused_by_the_first_strange_one(
    server: Server,
) -> None:
    body = {f"field{number}": number for number in range(3_000)}
    url = f"{server.url}{COUNTER}/add"

    answer = httpx.post(url, json=body, headers=server.headers)

    # The namespace is looked at first.
    assert answer.status_code == 404


def test_query__with_too_many_fields_is_refused(api: Api) -> None:
    query = "&".join(f"f{number}=1" for number in range(2_000))

    refused = api.get(f"namespaces/test/counters?{query}")

    problem(refused, 400)


def test_path__cannot_be_changed_by_a_header(server: Server) -> None:
    # A proxy that bars /metrics would let this one through.
    status, _ = send(
        server, head(server, "GET /any/metrics HTTP/1.1", "SCRIPT_NAME: /any")
    )

    assert status == 404


@pytest.mark.parametrize(
    ("token", "look_ups"),
    [("f" * 64, 1), ("f" * 63, 0), ("F" * 64, 0), ("x" * 100_000, 0), ("é", 0)],
)
def test_token__that_is_wrong_costs_one_look_up_at_most(
    django_assert_num_queries: DjangoAssertNumQueries, token: str, look_ups: int
) -> None:
    with django_assert_num_queries(look_ups):
        refused = Api(token).post("events", {"events": []})

    problem(refused, 401, "authentication-failed")


def test_token__of_an_inactive_user_is_worth_nothing() -> None:
    user = User.objects.create_user("gone", is_active=False)
    client = Api(str(AuthToken.objects.create(user)[1]))

    problem(client.get("namespaces"), 401)


def test_errors__say_nothing_of_the_inside(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("password=hunter2 at /etc/counters")

    monkeypatch.setattr("rollups.rest.views.counts.get", fail)

    answer = api.read("hits")

    assert problem(answer, 500, "internal-error").keys() == {
        *("type", "title", "status", "code", "detail")
    }
    assert b"hunter2" not in answer.content
    assert b"rollups" not in answer.content


def test_errors__of_the_web_server_say_nothing_of_the_inside(server: Server) -> None:
    _, answer = send(server, b"NONSENSE\r\n\r\n")

    assert b"Traceback" not in answer
    assert b"site-packages" not in answer


def test_static_files__are_those_of_the_packages_only(server: Server) -> None:
    for path in ("../settings.py", "..%2f..%2fmanage.py", "%2e%2e/%2e%2e/etc/passwd"):
        status, answer = send(server, head(server, f"GET /static/{path} HTTP/1.1"))

        assert status in {400, 404}, path
        assert b"root:" not in answer
