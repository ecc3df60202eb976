"""Tokens derived from rows, so that importing a row again does not count again.

An event is identified by (counter, token, event time). What identifies a row is, by
choice of the user: a column with a token, key columns, or else the row's whole content
together with its place (file name and line number), because equal rows may be different
events.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable

from counters.errors import shown
from counters.importing.errors import BadRow
from counters.importing.plan import Plan
from counters.importing.rows import Row

# access.log.1: the form of logrotate and others.
ROTATED = re.compile(r"\.[0-9]+$")
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
            json.dumps([[name, _key_part(row, name)] for name in names])
        )
    return lambda row: _digest(place_of(row.line, row.place, source), row.content)


def place_of(line: int, place: str | None, source: str) -> str:
    """Return where a row was when it was first imported: file name and line."""
    return place or f"{source}:{line}"


def as_written(source: str, encoding: str) -> str:
    """Return a source's name in a form that a rejects file of that encoding can hold.

    A file's name may have characters that the encoding lacks, or bytes that are not text.
    """
    return source.encode(encoding, "backslashreplace").decode(encoding)


def doubt(plan: Plan, source: str) -> str | None:
    """Return why different rows may be taken for one, or rows count again; None if unlikely."""
    if plan.token is not None or plan.key or plan.source is not None:
        return None
    known_by = (
        f"A row is identified by its content, its line number and the name {source!r}."
    )
    if plan.from_stdin:
        return (
            f"{known_by} An equal row on the same line of another pipe counts as a duplicate."
            " Give --key, --token, or --source with a name for this input."
        )
    if ROTATED.search(source):
        return (
            f"{known_by} This looks like the name of a rotated log. If it was imported under"
            " its earlier name, its rows count again. Give --key, --token, or --source with the"
            " name under which it was first imported."
        )
    return None


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


def _key_part(row: Row, name: str) -> str:
    value = row.values[name]
    if value is None or value == "":
        raise BadRow(f"key column {name!r} is empty, so the row cannot be identified")
    return str(value)


def _digest(*parts: str) -> str:
    # No part holds a NUL: rows with one are rejected.
    text = "\0".join(parts)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
