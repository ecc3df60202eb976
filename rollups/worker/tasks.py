"""The tasks: `rollup`, sent by triggers, and those that beat sends.

Safe to run twice or at once, never retried.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task

from counters.db import errors
from counters.errors import NotAnchored
from rollups.folding import maintenance
from rollups.folding import sweep as sweeping
from rollups.monitor import prometheus, samples
from rollups.trigger.broker import TASK
from rollups.worker import message_handler

logger = logging.getLogger(__name__)

# The last resort: the task itself stops much earlier, and PostgreSQL's time-outs end each
# of its statements.
HARD_LIMIT_SECONDS = 120


@shared_task(
    name=TASK,
    ignore_result=True,
    time_limit=HARD_LIMIT_SECONDS,
    # Whatever the project's setting: the sweep finds what a killed worker had.
    acks_late=False,
)
@errors.log_missing_migrations()
def rollup(
    counter_ids: list[int],
    reenqueued: bool = False,
    sweep_id: int | None = None,
    **newer: Any,
) -> None:
    """Fold these counters; re-enqueue those that could not be folded.

    Workers of two versions share the queue. A newer version adds keywords with defaults only,
    and folding is right whatever they say, so they are ignored.
    """
    try:
        message_handler.work(counter_ids, reenqueued=reenqueued, sweep_id=sweep_id)
    except NotAnchored as error:
        logger.error("Not folded: %s", error.message)


@shared_task(name="rollups.sweep", ignore_result=True)
@errors.log_missing_migrations()
def sweep() -> None:
    """Look for counters whose trigger was lost, and enqueue them."""
    sweeping.sweep()
    samples.take()
    prometheus.tidy_up()


@shared_task(name="rollups.make_partitions", ignore_result=True)
@errors.log_missing_migrations()
def make_partitions() -> None:
    """Create the partitions of the coming days, and remove expired rows."""
    maintenance.clear_away()
    maintenance.make_partitions()


@shared_task(name="rollups.close_partitions", ignore_result=True, time_limit=3600)
@errors.log_missing_migrations()
def close_partitions() -> None:
    """Close the partitions that retention allows, and drop those closed earlier."""
    maintenance.close_partitions()


@shared_task(name="rollups.reindex_partitions", ignore_result=True, time_limit=3600)
@errors.log_missing_migrations()
def reindex_partitions() -> None:
    """Rebuild the indexes of partitions whose day is over."""
    maintenance.reindex_partitions()
