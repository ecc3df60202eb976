"""How the rollups are doing, as the database knows it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from counters.db.statements import fetch
from rollups.monitor.heartbeat import ALIVE_WITHIN


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
    # Processes that reported lately: workers and `rollup --watch`; and workers that do not
    # read the queue of rollup messages.
    folding: int = 0
    idle_workers: int = 0


def measure() -> Status:
    """Return the state as of now; costs one pass over the last writes."""
    [row] = fetch(connection, "rollups", "measure_status", alive=ALIVE_WITHIN)
    return Status(*row)
