"""Limit the time that a connection to PostgreSQL waits for a silent server.

The server's own time-outs do nothing while the server or its machine is stopped. TCP's
time-outs do nothing while the machine's kernel acknowledges data.
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
    """The server did not answer, nor report a time-out of its own; the connection is closed."""


class BoundedConnection(psycopg.Connection[Any]):
    """Waits for each answer for `answer_within_seconds`; None is no limit."""

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
            # The answer may still come, and would be taken for the next statement's.
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
    """Wait at most this long for each answer, on connections that have a limit."""
    token = _at_most.set(seconds)
    try:
        yield
    finally:
        _at_most.reset(token)
