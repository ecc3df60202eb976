"""The settings of the write side, with their defaults."""

from __future__ import annotations

from django.conf import settings


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
