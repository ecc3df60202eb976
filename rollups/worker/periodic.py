"""The tasks that beat sends. Safe to run twice or at once, never retried."""

from __future__ import annotations

from celery import shared_task

from counters.db import errors
from rollups.folding import maintenance
from rollups.folding import sweep as sweeping
from rollups.monitor import prometheus, samples


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
    """Make the partitions of the coming days, and clear away what nobody needs."""
    maintenance.clear_away()
    maintenance.make_partitions()


@shared_task(name="rollups.close_partitions", ignore_result=True, time_limit=3600)
@errors.log_missing_migrations()
def close_partitions() -> None:
    """Close the partitions that retention lets go, and drop those closed before."""
    maintenance.close_partitions()


@shared_task(name="rollups.reindex_partitions", ignore_result=True, time_limit=3600)
@errors.log_missing_migrations()
def reindex_partitions() -> None:
    """Rebuild indexes of partitions whose day is over."""
    maintenance.reindex_partitions()
