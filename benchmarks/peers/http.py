"""A client that costs as little as can be: one connection, requests ready to send."""

from __future__ import annotations

import os
import socket


class Sender:
    """Sends POST requests over one kept connection and reads each answer."""

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
