"""Counting over HTTP: this project's REST API, and the plainest DRF view."""

from __future__ import annotations

import json
import os
import socket
import threading

from benchmarks.data import create_counters
from benchmarks.peers import Way
from benchmarks.plain.models import create_table

BATCH = 1_000
ADD = b'{"delta":1}'
EVENTS = json.dumps(
    {
        "events": [
            {"namespace": "bench", "name": f"c{i}", "delta": 1} for i in range(BATCH)
        ]
    }
).encode()
_own = threading.local()


class Sender:
    """Sends POST requests over one kept connection: as cheap as a client can be."""

    def __init__(self) -> None:
        address = ("127.0.0.1", int(os.environ["BENCH_PORT"]))
        self._socket = socket.create_connection(address, timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def post(self, path: str, body: bytes, *, token: str = "") -> bytes:
        """Return the answer's body; raise RuntimeError unless its status is 200."""
        authorization = f"Authorization: Token {token}\r\n" if token else ""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}"
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


def _post(path: str, body: bytes, *, token: str = "") -> None:
    if not hasattr(_own, "sender"):
        _own.sender = Sender()
    _own.sender.post(path, body, token=token)


def rest_add(key: int) -> None:
    path = f"/api/v1/namespaces/bench/counters/c{key}/add"
    _post(path, ADD, token=os.environ["BENCH_TOKEN"])


def rest_batch(key: int) -> None:
    _post("/api/v1/events", EVENTS, token=os.environ["BENCH_TOKEN"])


def rest_update_f(key: int) -> None:
    _post(f"/add/c{key}", ADD)


def _create_batch_counters(counters: int) -> None:
    create_counters(max(counters, BATCH))


WAYS = {
    "rest_add": Way(
        title="POST add (this project)",
        setup=create_counters,
        step=rest_add,
        programs=("worker", "web"),
    ),
    "rest_batch": Way(
        title="POST events (this project), 1,000 each",
        setup=_create_batch_counters,
        step=rest_batch,
        step_events=BATCH,
        programs=("worker", "web"),
    ),
    "rest_update_f": Way(
        title="POST, plainest view, F update",
        setup=create_table,
        step=rest_update_f,
        programs=("plain_web",),
    ),
}
