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
    every = {
        "sweep": timedelta(seconds=sweep_period_seconds),
        "make_partitions": HOUR,
        "close_partitions": HOUR,
        "reindex_partitions": HOUR,
    }
    return {
        f"rollups-{task.replace('_', '-')}": {
            "task": f"rollups.{task}",
            "schedule": period,
            "options": {
                "queue": queue,
                # One that waited for a whole period is worth nothing: the next one is due.
                "expires": period.total_seconds(),
                "ignore_result": True,
            },
        }
        for task, period in every.items()
    }
