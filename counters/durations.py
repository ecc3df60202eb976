"""Read and write durations, the same way in forms, commands and messages."""

from __future__ import annotations

import re
from datetime import timedelta

# A hundred years; with more a window would reach beyond the years that there are.
LONGEST = timedelta(days=36_600)
_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "": timedelta(seconds=1),
}
_DURATION = re.compile(
    r"([0-9]+)(?:\s*(d|days?|h|hours?|m|min|minutes?|s|seconds?))?", re.IGNORECASE
)


class DurationTooLong(ValueError):
    """A duration beyond LONGEST."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"`{text}` is too long. A duration is at most {format_duration(LONGEST)}."
        )


def parse_duration(text: str) -> timedelta:
    """Return the duration that is written as `90`, `90s`, `15m`, `24 h` or `30 days`.

    A number without a unit is seconds. Raises ValueError for other text, and
    DurationTooLong.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            f"`{text}` is not a duration. Use seconds or a form like `15m`, `24h` or `90d`."
        )
    try:
        length = int(found[1]) * _UNITS[(found[2] or "")[:1].lower()]
    # int refuses more than 4,300 digits.
    except (OverflowError, ValueError) as error:
        raise DurationTooLong(text) from error
    if length > LONGEST:
        raise DurationTooLong(text)
    return length


def format_duration(length: timedelta) -> str:
    """Return the exact duration in a form that parse_duration reads: `24 h`, `90 s`."""
    seconds = round(length.total_seconds())
    for size, least, unit in ((86_400, 2, "days"), (3_600, 1, "h"), (60, 1, "min")):
        if seconds >= least * size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def format_roughly(seconds: float) -> str:
    """Return a duration as a person reads it at a glance: `0.8 s`, `75 s`, `12 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
