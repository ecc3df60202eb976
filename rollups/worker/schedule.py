"""What beat sends, for the settings of a project: CELERY_BEAT_SCHEDULE."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

HOUR = timedelta(hours=1)


def beat_schedule(
    *, queue: str = "rollups", sweep_period_seconds: float = 5
) -> dict[str, dict[str, Any]]:
    """Return the entries for CELERY_BEAT_SCHEDULE; merge them with a project's own.

    Settings cannot be asked while they are loaded: give ROLLUPS_QUEUE and
    ROLLUPS_SWEEP_PERIOD_SECONDS where they are not the defaults.
    """
    # One that waited for a whole period is worth nothing: the next one is due.
    return {
        "rollups-sweep": {
            "task": "rollups.sweep",
            "schedule": timedelta(seconds=sweep_period_seconds),
            "options": _options(queue, sweep_period_seconds),
        },
        "rollups-make-partitions": {
            "task": "rollups.make_partitions",
            "schedule": HOUR,
            "options": _options(queue, HOUR.total_seconds()),
        },
        "rollups-close-partitions": {
            "task": "rollups.close_partitions",
            "schedule": HOUR,
            "options": _options(queue, HOUR.total_seconds()),
        },
        "rollups-reindex-partitions": {
            "task": "rollups.reindex_partitions",
            "schedule": HOUR,
            "options": _options(queue, HOUR.total_seconds()),
        },
    }


def _options(queue: str, expires_seconds: float) -> dict[str, Any]:
    return {"queue": queue, "expires": expires_seconds, "ignore_result": True}
