"""Fold a batch in halves if it fails, to find and quarantine the counters at fault."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from datetime import timedelta

from django.db import DatabaseError, connection
from django.db.models.functions import Now

from counters.db import errors
from counters.db.statements import affect
from rollups.folding.fold import Folded, fold
from rollups.models import Failure
from rollups.monitor import metrics

logger = logging.getLogger(__name__)


def fold_each(counter_ids: Collection[int], *, until: float) -> list[Folded]:
    """Fold the counters; if that fails, in halves, down to the counters at fault.

    These are quarantined. After `until` (of time.monotonic) no fold is started; the sweep
    finds the other counters. Raises only if the database is down or lacks migrations: then no
    counter is at fault.
    """
    done: list[Folded] = []
    batches = [list(counter_ids)]
    while batches and (not done or time.monotonic() < until):
        batch = batches.pop()
        connection.ensure_connection()
        used = connection.connection
        try:
            done.append(fold(batch))
        except DatabaseError as error:
            # Where it broke within a transaction, Django has made a new one by now.
            if (
                connection.connection is not used
                or not connection.is_usable()
                or errors.lacks_migrations(error)
            ):
                raise
            if len(batch) == 1:
                _quarantine(batch[0], error)
                done.append(Folded())
            else:
                middle = len(batch) // 2
                batches += [batch[middle:], batch[:middle]]
    return done


def _quarantine(counter_id: int, error: DatabaseError) -> None:
    logger.error("Counter %d cannot be folded, quarantined: %s", counter_id, error)
    quarantine(counter_id, error)
    metrics.count_quarantined(type(error).__name__)


# The sweep tries a counter again after this time, then after twice as long, and so on.
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
_ERROR_LENGTH = 500


def quarantine(counter_id: int, error: Exception) -> None:
    """Quarantine the counter, each time for longer."""
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
    """Let the next fold try these counters, even if they failed before."""
    Failure.objects.filter(counter_id__in=counter_ids).update(next_try_at=Now())


def forget(counter_ids: Collection[int]) -> None:
    """Release quarantined counters that were folded."""
    Failure.objects.filter(counter_id__in=counter_ids).delete()
