"""Counting over HTTP: this project's REST API, and the plainest DRF view."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from uuid import uuid4

from benchmarks.peers import Way
from benchmarks.peers.database import BATCH, create_for_batches
from benchmarks.plain.models import create_table

API = "/api/v1/namespaces/bench"
EVENTS = json.dumps(
    {
        "events": [
            {"namespace": "bench", "name": f"c{i}", "delta": 1} for i in range(BATCH)
        ]
    }
)
_own = threading.local()


class Sender:
    """Sends requests over one kept connection: as cheap as a client can be."""

    def __init__(self) -> None:
        address = ("127.0.0.1", int(os.environ["BENCH_PORT"]))
        self._socket = socket.create_connection(address, timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def send(self, method: str, path: str, body: bytes, *, token: str = "") -> bytes:
        """Return the answer's body; raise RuntimeError unless its status is 200."""
        authorization = f"Authorization: Token {token}\r\n" if token else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}"
            "Content-Type: application/json\r\nAccept: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)
        return self._answer()

    def _answer(self) -> bytes:
        data = self._rest
        while b"\r\n\r\n" not in data:
            data += self._received()
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(data.decode(errors="replace"))
        lines = head.lower().split(b"\r\n")
        [length] = [line[15:] for line in lines if line.startswith(b"content-length:")]
        while len(body) < int(length):
            body += self._received()
        self._rest = body[int(length) :]
        return body[: int(length)]

    def _received(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the web server closed the connection")
        return data


def _send(method: str, path: str, body: str = "", *, token: str = "") -> None:
    if not hasattr(_own, "sender"):
        _own.sender = Sender()
    _own.sender.send(method, path, body.encode(), token=token)


def rest_add(key: int) -> None:
    _send("POST", f"{API}/add", f'{{"name":"c{key}","delta":1}}', token=_token())


def rest_add_with_token(key: int) -> None:
    body = f'{{"name":"c{key}","delta":1,"token":"{uuid4()}"}}'
    _send("POST", f"{API}/add", body, token=_token())


def rest_batch(key: int) -> None:
    _send("POST", "/api/v1/events", EVENTS, token=_token())


def rest_read(key: int) -> None:
    _send("GET", f"{API}/counters/c{key}", token=_token())


def plain_add(key: int) -> None:
    _send("POST", f"/add/c{key}", '{"delta":1}')


def plain_read(key: int) -> None:
    _send("GET", f"/read/c{key}")


def _token() -> str:
    return os.environ["BENCH_TOKEN"]


def _ours(title: str, step: Callable[[int], object], step_events: int = 1) -> Way:
    return Way(
        title=title,
        setup=create_for_batches,
        step=step,
        step_events=step_events,
        programs=("worker", "web"),
    )


def _plain(title: str, step: Callable[[int], object]) -> Way:
    return Way(title=title, setup=create_table, step=step, programs=("plain_web",))


WAYS = {
    "rest_add": _ours("POST add (this project)", rest_add),
    "rest_add_with_token": _ours(
        "POST add with a token (this project)", rest_add_with_token
    ),
    "rest_batch": _ours("POST events (this project), 1,000 each", rest_batch, BATCH),
    "rest_read": _ours("GET counter (this project)", rest_read),
    "plain_add": _plain("POST, plainest view, F update", plain_add),
    "plain_read": _plain("GET, plainest view, .get()", plain_read),
}
