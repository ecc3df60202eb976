"""Counters whose fold fails: set apart, so that they hold up nobody else."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from django.db import connection
from django.db.models.functions import Now

from counters.db.statements import affect
from rollups.models import Failure

# The sweep tries a counter again after this time, then after twice as long, and so on.
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
_ERROR_LENGTH = 500


def set_apart(counter_id: int, error: Exception) -> None:
    """Leave the counter out of folds for a while; longer each time in a row."""
    affect(
        connection,
        "rollups",
        "record_failure",
        counter_id=counter_id,
        error=f"{type(error).__name__}: {error}"[:_ERROR_LENGTH],
        first=FIRST_PAUSE,
        longest=LONGEST_PAUSE,
    )


def try_now(counter_ids: Collection[int]) -> None:
    """Let the next fold try these counters, whatever failed before."""
    Failure.objects.filter(counter_id__in=counter_ids).update(next_try_at=Now())


def forget(counter_ids: Collection[int]) -> None:
    """The counters have been folded after all."""
    Failure.objects.filter(counter_id__in=counter_ids).delete()
