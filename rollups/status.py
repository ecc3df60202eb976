"""How the rollups are doing, as the database knows it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from counters.statements import fetch


@dataclass(frozen=True, slots=True)
class Status:
    """The state of folding right now."""

    pending: int
    lag_seconds: float
    # None where no sweep is on record.
    last_sweep_age_seconds: float | None
    # By the sweeps of the last minutes.
    healed_lately: int
    set_apart: int
    # False after a restore into another cluster: nothing folds until `manage.py reanchor`.
    is_anchored: bool


def measure() -> Status:
    """Return the state as of now; costs one pass over the last writes."""
    [row] = fetch(connection, "rollups", "measure_status")
    return Status(*row)
