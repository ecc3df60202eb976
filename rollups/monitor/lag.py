"""How far folding lags behind writing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import connection

from counters.db.statements import fetch


@dataclass(frozen=True, slots=True)
class Lag:
    """The system's lag: how many counters are pending, and the greatest of their lags."""

    pending: int
    oldest: timedelta


def measure() -> Lag:
    """Return the lag as of now; costs one pass over the last writes."""
    [row] = fetch(connection, "rollups", "measure_lag")
    return Lag(*row)
