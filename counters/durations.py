"""Read and write durations, the same way in forms, commands and messages."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "": timedelta(seconds=1),
}
_DURATION = re.compile(
    r"([0-9]{1,10})(?:\s*(d|days?|h|hours?|m|min|minutes?|s|seconds?))?", re.IGNORECASE
)


def parse_duration(text: str) -> timedelta:
    """Return the duration that is written as `90`, `90s`, `15m`, `24 h` or `30 days`.

    A number without a unit is seconds. Raises ValueError for other text.
    """
    found = _DURATION.fullmatch(text.strip())
    try:
        if found is not None:
            return int(found[1]) * _UNITS[(found[2] or "")[:1].lower()]
    except OverflowError:
        pass
    raise ValueError(
        f"`{text}` is not a duration. Use seconds or a form like `15m`, `24h` or `90d`."
    )


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
