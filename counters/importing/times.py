"""Parse event times."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from counters.errors import shown
from counters.importing.errors import BadRow, CannotImport
from counters.recording.tokens import EPOCH

# Takes a column's value, returns the instant in UTC or raises BadRow.
ReadTime = Callable[[object], datetime]
UNIX_TIME = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,9})?")
UNITS_A_SECOND = {
    "unix": 1,
    "unix-ms": 1_000,
    "unix-us": 1_000_000,
    "unix-ns": 1_000_000_000,
}
# The likely years of a Unix time. In the wrong unit it is decades off.
PLAUSIBLE = range(1990, 2100)
SOME_TIME = datetime(2025, 3, 1, 14, 30, 15, tzinfo=UTC)


def reader(time_format: str, time_zone: str | None) -> ReadTime:
    """Return a function that parses times: iso, a key of UNITS_A_SECOND, or a strptime pattern."""
    zone = _zone(time_zone)
    if time_format in UNITS_A_SECOND:
        if zone is not None:
            raise CannotImport("--time-zone is not for Unix times: they are in UTC.")
        return lambda value: _unix(value, time_format)
    if time_format == "iso":
        return lambda value: _zoned(value, _iso, zone)
    if "%" not in time_format:
        raise CannotImport(
            f"--time-format {time_format!r} is unknown. Use iso, {', '.join(UNITS_A_SECOND)}, or"
            " a pattern such as '%d.%m.%Y %H:%M:%S'."
        )
    _check_pattern(time_format)
    return lambda value: _zoned(value, lambda text: _strptime(text, time_format), zone)


def _check_pattern(pattern: str) -> None:
    """Refuse a pattern that cannot read even a time that was written with it."""
    try:
        datetime.strptime(SOME_TIME.strftime(pattern), pattern)  # noqa: DTZ007
    # A directive that is given twice is a re.error.
    except (ValueError, re.error) as error:
        raise CannotImport(
            f"--time-format {pattern!r} cannot read a time: {error}. Use a pattern such as"
            " '%d.%m.%Y %H:%M:%S'."
        ) from error


def _zoned(
    value: object, parse: Callable[[str], datetime], zone: ZoneInfo | None
) -> datetime:
    if not isinstance(value, str):
        raise BadRow(f"time {shown(value)} is not text")
    try:
        at = parse(value)
        if at.tzinfo is None:
            if zone is None:
                raise BadRow(
                    f"time {shown(value)} has no UTC offset; name its zone with --time-zone"
                )
            at = _local(at, zone)
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadRow(f"time {shown(value)}: {error}") from error


def _local(at: datetime, zone: ZoneInfo) -> datetime:
    """Add the zone to a local time; raise BadRow unless it is exactly one instant."""
    first, second = (at.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(UTC) > second.astimezone(UTC):
        raise BadRow(
            f"time {at} does not exist in {zone.key}: the clocks were put forward"
        )
    raise BadRow(
        f"time {at} happens twice in {zone.key}, at {first:%z} and {second:%z}: give the UTC"
        " offset"
    )


def _iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRow(
            f"time {shown(text)} is not ISO 8601 such as 2025-03-01T14:00:00Z"
        ) from error


def _strptime(text: str, pattern: str) -> datetime:
    at = datetime.strptime(text, pattern)  # noqa: DTZ007 - the caller adds the zone
    if at.tzinfo is not None or "%Z" not in pattern:
        return at
    # strptime reads a zone's name but does not keep it.
    name = time.strptime(text, pattern).tm_zone or ""
    if name.upper() not in {"UTC", "GMT"}:
        raise BadRow(f"time {shown(text)} names the zone {name}: give the UTC offset")
    return at.replace(tzinfo=UTC)


def _unix(value: object, unit: str) -> datetime:
    text = str(value)
    if not UNIX_TIME.fullmatch(text):
        raise BadRow(f"time {shown(value)} is not a Unix time")
    at = _instant(text, unit)
    if at is not None and at.year in PLAUSIBLE:
        return at
    read_as = "after the year 9999" if at is None else f"on {at:%Y-%m-%d}"
    fitting = [
        other
        for other in UNITS_A_SECOND
        if (instant := _instant(text, other)) and instant.year in PLAUSIBLE
    ]
    hint = f"; is the unit {fitting[0]}? See --time-format" if fitting else ""
    raise BadRow(f"time {shown(value)}, read as {unit}, would be {read_as}{hint}")


def _instant(text: str, unit: str) -> datetime | None:
    try:
        microseconds = Decimal(text) * 1_000_000 / UNITS_A_SECOND[unit]
        return EPOCH + timedelta(microseconds=int(microseconds))
    except OverflowError:
        return None


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
