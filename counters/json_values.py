"""Values whose JSON form needs care: large numbers and instants."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from django.utils.dateparse import parse_datetime

from counters.errors import InvalidValue

# Beyond this a JavaScript number is rounded; such numbers are sent as strings.
EXACT_IN_JAVASCRIPT = 2**53 - 1
DELTA_AS_TEXT = (
    f"a number without quotes. Only whole numbers beyond ±{EXACT_IN_JAVASCRIPT} may be text,"
    " and only in digits"
)
INSTANT = "an ISO 8601 instant with its UTC offset, such as 2026-01-31T12:00:00.000Z"


def exact_number(value: int) -> int | str:
    """Return the value in the JSON form that every client reads without rounding."""
    return value if abs(value) <= EXACT_IN_JAVASCRIPT else str(value)


def read_delta(value: object) -> object:
    """Convert a large number that is sent as text, the form that `exact_number` returns.

    JavaScript cannot send it otherwise. Other values are returned unchanged, for
    `check_delta`.
    """
    if not isinstance(value, str):
        return value
    if re.fullmatch(r"-?[0-9]{16,19}", value):
        number = int(value)
        if exact_number(number) == value:
            return number
    raise InvalidValue("delta", value, DELTA_AS_TEXT)


def read_time(field: str, value: object) -> datetime | None:
    """Convert an ISO 8601 instant with its UTC offset to UTC; return None for None."""
    if value is None:
        return None
    wanted = INSTANT
    if isinstance(value, str) and re.search(r":[0-9.]+ [0-9]{2}(:?[0-9]{2})?$", value):
        # A `+` in a query string means a space.
        wanted += "; in a URL write the offset's + as %2B"
    try:
        at = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidValue(field, value, wanted)
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise InvalidValue(field, value, "an instant of the years 1 to 9999") from error
