"""Connections to PostgreSQL that do not wait for ever for a server that went silent.

The server's own time-outs end nothing when the server itself is stopped, or its machine is;
and TCP's end nothing as long as its kernel acknowledges what is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from psycopg import errors

_at_most: ContextVar[float | None] = ContextVar("at_most", default=None)


class ServerSilent(psycopg.OperationalError):
    """The server did not answer, not even with its own time-out; the connection is closed."""


class BoundedConnection(psycopg.Connection[Any]):
    """Waits for each answer for `answer_within_seconds`; None is for ever."""

    answer_within_seconds: float | None = None

    def wait(
        self, gen: Any, interval: float = 0.1, timeout: float | None = None
    ) -> Any:
        """Wait as psycopg does. Raises ServerSilent."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        seconds = _at_most.get() or self.answer_within_seconds
        try:
            return super().wait(gen, interval, seconds)
        except errors._WaitTimeout as error:
            # Its answer may come still, to whatever would be asked next.
            self.pgconn.finish()
            raise ServerSilent(
                f"the server did not answer within {seconds:g} s"
            ) from error


def connection_class(*, answer_within_seconds: float | None) -> type[BoundedConnection]:
    """Return a class for a pool's connections."""
    return type(
        "BoundedConnection",
        (BoundedConnection,),
        {"answer_within_seconds": answer_within_seconds},
    )


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Wait no longer than so for each answer, here, where connections are bounded."""
    token = _at_most.set(seconds)
    try:
        yield
    finally:
        _at_most.reset(token)
