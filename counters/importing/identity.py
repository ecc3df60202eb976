"""Tokens derived from rows, so that importing a row again does not count again.

An event is identified by (counter, token, event time). What identifies a row is, by
choice of the user: a column with a token, key columns, or else the row's whole content
together with its place (file name and line number), because equal rows may be different
events.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from counters.errors import shown
from counters.importing.errors import BadRow
from counters.importing.plan import Plan
from counters.importing.rows import Row

# Takes a row, returns the text of its token.
Identify = Callable[[Row], str]


def identifier(plan: Plan, source: str) -> Identify:
    """Return what gives each row of this source its token."""
    if plan.token is not None:
        column = plan.token
        return lambda row: _given(row, column)
    if plan.key:
        # Sorted: the order in which the options name the columns means nothing.
        names = sorted(plan.key)
        return lambda row: _digest(
            json.dumps([[name, str(row.values[name])] for name in names])
        )
    return lambda row: _digest(place_of(row.line, row.place, source), row.content)


def place_of(line: int, place: str | None, source: str) -> str:
    """Return where a row was when it was first imported: file name and line."""
    return place or f"{source}:{line}"


def again(token: str, times: int) -> str:
    """Return the token of a row's next event on the same counter."""
    return _digest(token, str(times))


def _given(row: Row, column: str) -> str:
    value = row.values[column]
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadRow(f"column {column!r} holds no token but {shown(value)}")


def _digest(*parts: str) -> str:
    # No part holds a NUL: rows with one are rejected. A file's name may be no UTF-8.
    text = "\0".join(parts)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
