"""Turns rows into events that may be recorded as they stand."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from counters.db import clock
from counters.errors import CountersError, shown, stamp
from counters.importing import row_tokens, templates, times
from counters.importing.errors import BadRow
from counters.importing.plan import Plan
from counters.importing.rows import Row
from counters.models import Namespace
from counters.recording import names, tokens
from counters.recording.validation import (
    CheckedEvent,
    check_delta,
    check_generation_time,
)

WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,40}")


class Mapping:
    """The plan's options, ready to be used on each row."""

    def __init__(self, plan: Plan, namespace: Namespace, source: str) -> None:
        self._namespace = namespace
        self._templates = [templates.parse(text) for text in plan.counters]
        self._identify = row_tokens.identifier(plan, source)
        self._read_delta, delta_columns = _delta_reader(plan.delta)
        self._read_time = _time_reader(plan)
        used = [name for template in self._templates for name in template.columns]
        used += [*delta_columns, *plan.key]
        used += [name for name in (plan.time, plan.token) if name is not None]
        # Each column once, in the order of the options.
        self.columns = list(dict.fromkeys(used))

    def events_of(self, row: Row) -> list[CheckedEvent]:
        """Return the row's events, one a template; raise BadRow where one cannot be."""
        try:
            return self._events_of(row)
        except CountersError as error:
            raise BadRow(error.message) from error

    def _events_of(self, row: Row) -> list[CheckedEvent]:
        delta = check_delta(self._read_delta(row.values))
        at = self._read_time(row.values)
        check_generation_time(at)
        text = self._identify(row)
        token = tokens.parse(text, at)
        now = clock.now()
        event_time = token.event_time or now
        self._check_not_ahead(event_time, now)
        events: list[CheckedEvent] = []
        for template in self._templates:
            name = names.check(template.fill(row.values))
            earlier = sum(event.name == name for event in events)
            own = token
            if earlier:
                own = tokens.parse(row_tokens.again(text, earlier), token.event_time)
            events.append(CheckedEvent(self._namespace, name, own, event_time, delta))
        return events

    def _check_not_ahead(self, event_time: datetime, now: datetime) -> None:
        """Old events are what an import is for; events of the future are mistakes."""
        if event_time > now + self._namespace.accept_future:
            raise BadRow(f"time {stamp(event_time)} is in the future")


def _delta_reader(option: str) -> tuple[Callable[[dict[str, Any]], int], list[str]]:
    """Return what reads a row's delta, and the columns that it reads."""
    if WHOLE_NUMBER.fullmatch(option):
        constant = int(option)
        return (lambda values: constant), []
    return (lambda values: _whole_number(option, values[option])), [option]


def _whole_number(column: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and WHOLE_NUMBER.fullmatch(value.strip()):
        return int(value)
    raise BadRow(f"delta: column {column!r} holds {shown(value)}, not a whole number")


def _time_reader(plan: Plan) -> Callable[[dict[str, Any]], datetime | None]:
    if plan.time is None:
        fixed = plan.at
        return lambda values: fixed
    column, read = plan.time, times.reader(plan.time_format, plan.time_zone)
    return lambda values: read(values[column])
