"""Event times as files write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from counters.errors import shown
from counters.importing.errors import BadRow, CannotImport
from counters.tokens import EPOCH

# Takes a column's value, returns the instant in UTC or raises BadRow.
ReadTime = Callable[[object], datetime]
UNIX_TIME = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,9})?")
MICROSECONDS = {"unix": 1_000_000, "unix-ms": 1_000}


def reader(time_format: str, time_zone: str | None) -> ReadTime:
    """Return what reads times of that format: iso, unix, unix-ms, or strptime's."""
    zone = _zone(time_zone)
    if time_format in MICROSECONDS:
        microseconds = MICROSECONDS[time_format]
        return lambda value: _unix(value, microseconds)
    if time_format == "iso":
        return lambda value: _zoned(value, _iso, zone)
    if "%" not in time_format:
        raise CannotImport(
            f"--time-format {time_format!r} is none of iso, unix, unix-ms, nor a pattern"
            " such as '%d.%m.%Y %H:%M:%S'."
        )
    return lambda value: _zoned(value, lambda text: _strptime(text, time_format), zone)


def _zoned(
    value: object, parse: Callable[[str], datetime], zone: ZoneInfo | None
) -> datetime:
    if not isinstance(value, str):
        raise BadRow(f"time {shown(value)} is not a text")
    try:
        at = parse(value)
        if at.tzinfo is None:
            if zone is None:
                raise BadRow(
                    f"time {shown(value)} has no UTC offset; say where it is: --time-zone"
                )
            at = at.replace(tzinfo=zone)
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadRow(f"time {shown(value)}: {error}") from error


def _iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRow(
            f"time {shown(text)} is not ISO 8601 such as 2025-03-01T14:00:00Z"
        ) from error


def _strptime(text: str, pattern: str) -> datetime:
    return datetime.strptime(text, pattern)  # noqa: DTZ007 - the caller adds the zone


def _unix(value: object, microseconds: int) -> datetime:
    text = str(value)
    if not UNIX_TIME.fullmatch(text):
        raise BadRow(f"time {shown(value)} is not a Unix time")
    try:
        return EPOCH + timedelta(microseconds=int(Decimal(text) * microseconds))
    except OverflowError as error:
        raise BadRow(f"time {shown(value)} is after the year 9999") from error


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    # ZoneInfoNotFoundError is a KeyError; names such as '/' raise ValueError or OSError.
    except (KeyError, ValueError, OSError) as error:
        raise CannotImport(
            f"--time-zone {name!r} is not known here; one is Europe/Berlin."
        ) from error
