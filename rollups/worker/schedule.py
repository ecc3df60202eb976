"""The tasks that beat sends: entries for CELERY_BEAT_SCHEDULE."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

HOUR = timedelta(hours=1)


def beat_schedule(
    *, queue: str = "rollups", sweep_period_seconds: float = 5
) -> dict[str, dict[str, Any]]:
    """Return the entries for CELERY_BEAT_SCHEDULE; merge them with a project's own.

    This function is called while the settings load, so it cannot read them. If you change
    ROLLUPS_QUEUE or ROLLUPS_SWEEP_PERIOD_SECONDS, pass the values.
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
                # A message that waited for a whole period is useless, because the next one is due.
                "expires": period.total_seconds(),
                "ignore_result": True,
            },
        }
        for task, period in every.items()
    }
