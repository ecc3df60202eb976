"""The settings of the write side, with their defaults."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def partition_days_ahead() -> int:
    """For how many days ahead the event table has its partitions."""
    return int(getattr(settings, "COUNTERS_PARTITION_DAYS_AHEAD", 7))


def api_rate_per_minute() -> int:
    """How many calls each API token may make in a minute; 0 is no limit."""
    return int(getattr(settings, "COUNTERS_API_RATE_PER_MINUTE", 0))


def body_bytes() -> int:
    """The largest body that the API reads; Django's own setting, which may be None."""
    most: int | None = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return 16 * 1024 * 1024 if most is None else most


def refuse_bad_settings() -> None:
    """Raise ImproperlyConfigured where a setting is out of its range.

    Called while the app is loaded, so at the start of every process: web servers and workers
    run no system checks.
    """
    refuse_beyond("COUNTERS_PARTITION_DAYS_AHEAD", partition_days_ahead, 1, 365)
    refuse_beyond("COUNTERS_API_RATE_PER_MINUTE", api_rate_per_minute, 0, 1_000_000_000)


def refuse_beyond(
    name: str, read: Callable[[], float], least: float, most: float
) -> None:
    """Raise ImproperlyConfigured unless the setting is a number from `least` to `most`.

    Durations, whose names end in _SECONDS, may be fractions; all others are whole.
    """
    if not hasattr(settings, name):
        return
    given = getattr(settings, name)
    is_duration = name.endswith("_SECONDS")
    try:
        number = read()
        fits = least <= number <= most and (is_duration or float(given) == number)
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits or isinstance(given, bool):
        kind = "a number" if is_duration else "a whole number"
        raise ImproperlyConfigured(
            f"{name}={given!r} is not {kind} from {least:,} to {most:,}."
        )
