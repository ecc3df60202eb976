"""Map rows to events."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from counters.db import clock
from counters.errors import CountersError, shown, stamp
from counters.importing import times
from counters.importing.errors import BadRow, CannotImport
from counters.importing.options import Options
from counters.importing.rows import NumberText, Row
from counters.json_values import EXACT_IN_JAVASCRIPT
from counters.models import Namespace
from counters.recording import names, tokens
from counters.recording.validation import (
    DELTA_WANTED,
    TokenedEvent,
    check_delta,
    check_generation_time,
)

WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,40}")


class RowMapping:
    """Map one row at a time, as the options say."""

    def __init__(self, options: Options, namespace: Namespace, source: str) -> None:
        self._namespace = namespace
        self._templates = [parse(text) for text in options.counters]
        self._identify = identifier(options, source)
        self._read_delta, delta_columns = _delta_reader(options.delta)
        self._read_time = _time_reader(options)
        used = [name for template in self._templates for name in template.columns]
        used += [*delta_columns, *options.key]
        used += [name for name in (options.time, options.token) if name is not None]
        # Each column once, in the order of the options.
        self.columns = list(dict.fromkeys(used))

    def events_of(self, row: Row) -> list[TokenedEvent]:
        """Return the row's events, one for each template; raise BadRow if one is not valid."""
        try:
            return self._events_of(row)
        except CountersError as error:
            raise BadRow(error.message) from error

    def _events_of(self, row: Row) -> list[TokenedEvent]:
        delta = check_delta(self._read_delta(row.values))
        at = self._read_time(row.values)
        check_generation_time(at)
        text = self._identify(row)
        token = tokens.parse(text, at)
        now = clock.now()
        event_time = token.event_time or now
        self._check_not_ahead(event_time, now)
        events: list[TokenedEvent] = []
        for template in self._templates:
            name = names.check(template.fill(row.values))
            earlier = sum(event.name == name for event in events)
            own = token
            if earlier:
                own = tokens.parse(again(text, earlier), token.event_time)
            events.append(TokenedEvent(self._namespace, name, own, event_time, delta))
        return events

    def _check_not_ahead(self, event_time: datetime, now: datetime) -> None:
        """Refuse future events: in an import they are mistakes."""
        if event_time > now + self._namespace.accept_future:
            raise BadRow(f"time {stamp(event_time)} is in the future")


def _delta_reader(option: str) -> tuple[Callable[[dict[str, Any]], int], list[str]]:
    """Return a function that reads a row's delta, and the columns that it reads."""
    if WHOLE_NUMBER.fullmatch(option):
        constant = int(option)
        return (lambda values: constant), []
    return (lambda values: _whole_number(option, values[option])), [option]


def _whole_number(column: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and WHOLE_NUMBER.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, NumberText) and (whole := _whole(value)) is not None:
        return whole
    raise BadRow(
        f"delta: column {column!r} holds {shown(value)}. Write {DELTA_WANTED}, in digits"
        " only"
    )


def _whole(text: NumberText) -> int | None:
    """Return the whole number that was written as `5.0` or `5e0`; None if it may be rounded."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if abs(number) <= EXACT_IN_JAVASCRIPT and number == number.to_integral_value():
        return int(number)
    return None


def _time_reader(options: Options) -> Callable[[dict[str, Any]], datetime | None]:
    if options.time is None:
        fixed = options.at
        return lambda values: fixed
    column, read = options.time, times.reader(options.time_format, options.time_zone)
    return lambda values: read(values[column])


PIECE = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]|%")


@dataclass(frozen=True, slots=True)
class Template:
    """The template of a counter's name, such as `route/{origin}-{dest}`."""

    pattern: str
    columns: tuple[str, ...]

    def fill(self, values: Mapping[str, Any]) -> str:
        """Return the counter's name for a row; raise BadRow if a column is not usable."""
        return self.pattern % tuple(
            [_text(name, values[name]) for name in self.columns]
        )


def parse(text: str) -> Template:
    """Return the template; `{{` and `}}` stand for braces. Raises CannotImport."""
    columns: list[str] = []

    def replace(piece: re.Match[str]) -> str:
        found = piece.group()
        if piece.group(1) is not None:
            columns.append(piece.group(1))
            return "%s"
        if found in {"{", "}"}:
            raise CannotImport(
                f"--counter {text!r} has a single {found!r}; name a column as"
                " {column}, and write {{ and }} for braces."
            )
        return "%%" if found == "%" else found[0]

    pattern = PIECE.sub(replace, text)
    if not text:
        raise CannotImport(
            "--counter is empty; name a counter, or a column: '{column}'."
        )
    return Template(pattern, tuple(columns))


def _text(column: str, value: object) -> str:
    if isinstance(value, str) and value:
        if value != value.strip():
            # If it were stripped silently, two different values would become one counter.
            raise BadRow(
                f"column {column!r} holds {shown(value)}; remove the blanks around it"
            )
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or value == "":
        raise BadRow(f"column {column!r} is empty, so the counter has no name")
    raise BadRow(f"column {column!r} is neither text nor a number")


# Tokens are derived from rows, so that a row that is imported again does not count again.
#
# An event is identified by (counter, token, event time). The user chooses what identifies a
# row: a token column or key columns. By default it is the row's whole content together with
# its place (file name and line number), because equal rows may be different events.


# access.log.1: the form of logrotate and others.
ROTATED = re.compile(r"\.[0-9]+$")
# Takes a row, returns the text of its token.
Identify = Callable[[Row], str]


def identifier(options: Options, source: str) -> Identify:
    """Return a function that returns a row's token."""
    if options.token is not None:
        column = options.token
        return lambda row: _given(row, column) or _by_place(row, source)
    if options.key:
        # Sorted: the order in which the options name the columns means nothing.
        names = sorted(options.key)
        return lambda row: _digest(
            json.dumps([[name, _key_part(row, name)] for name in names])
        )
    return lambda row: _by_place(row, source)


def _by_place(row: Row, source: str) -> str:
    return _digest(place_of(row.line, row.place, source), row.content)


def place_of(line: int, place: str | None, source: str) -> str:
    """Return the place of a row in the file of its first import: file name and line."""
    return place or f"{source}:{line}"


def as_written(source: str, encoding: str) -> str:
    """Return a source's name in a form that a rejects file in this encoding can hold.

    A file's name may contain characters that the encoding lacks, or bytes that are not text.
    """
    return source.encode(encoding, "backslashreplace").decode(encoding)


def doubt(options: Options, source: str) -> str | None:
    """Return a warning if different rows may get one token, or one row two tokens."""
    if options.token is not None or options.key or options.source is not None:
        return None
    known_by = (
        f"A row is identified by its content, its line number and the name {source!r}."
    )
    if options.from_stdin:
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


def _given(row: Row, column: str) -> str | None:
    """Return the row's token; None if the column is empty, as in an export of events."""
    value = row.values[column]
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadRow(f"column {column!r} holds no token but {shown(value)}")


def _key_part(row: Row, name: str) -> str:
    value = row.values[name]
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BadRow(f"key column {name!r} is empty, so the row cannot be identified")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadRow(f"key column {name!r} is neither text nor a number")
    return str(value)


def _digest(*parts: str) -> str:
    # No part holds a NUL: rows with one are rejected.
    text = "\0".join(parts)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
