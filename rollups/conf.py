"""The settings of the read side, with their defaults; durations in seconds."""

from __future__ import annotations

from django.conf import settings


def sweep_period_seconds() -> float:
    """How often beat looks for pending counters."""
    return float(getattr(settings, "ROLLUPS_SWEEP_PERIOD_SECONDS", 5))


def sweep_grace_seconds() -> float:
    """A counter that has been pending for less is left to its own trigger."""
    return float(getattr(settings, "ROLLUPS_SWEEP_GRACE_SECONDS", 1))


def sweep_counters() -> int:
    """How many counters one sweep enqueues at most; the rest waits for the next."""
    return int(getattr(settings, "ROLLUPS_SWEEP_COUNTERS", 50_000))
