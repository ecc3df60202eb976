"""Another connection's transaction, open for as long as a test needs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from django.db import connection


@contextmanager
def open_transaction(statement: str, parameters: Sequence[Any] = ()) -> Iterator[None]:
    """Run a statement in it, and commit at the end; roll back where the block raises."""
    with closing(connection.copy()) as other:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(statement, parameters)
        yield
        other.commit()
