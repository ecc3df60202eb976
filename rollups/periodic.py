"""The tasks that beat sends. Safe to run twice or at once, never retried."""

from __future__ import annotations

from celery import shared_task

from counters import outages
from rollups import exposition, sampling, sweeping, upkeep


@shared_task(name="rollups.sweep", ignore_result=True)
@outages.log_missing_migrations()
def sweep() -> None:
    """Look for counters whose trigger was lost, and enqueue them."""
    sweeping.sweep()
    sampling.take()
    exposition.tidy_up()


@shared_task(name="rollups.make_partitions", ignore_result=True)
@outages.log_missing_migrations()
def make_partitions() -> None:
    """Make the partitions of the coming days, and clear away what nobody needs."""
    upkeep.clear_away()
    upkeep.make_partitions()


@shared_task(name="rollups.close_partitions", ignore_result=True, time_limit=3600)
@outages.log_missing_migrations()
def close_partitions() -> None:
    """Close the partitions that retention lets go, and drop those closed before."""
    upkeep.close_partitions()


@shared_task(name="rollups.compact_partitions", ignore_result=True, time_limit=3600)
@outages.log_missing_migrations()
def compact_partitions() -> None:
    """Rebuild indexes of partitions whose day is over."""
    upkeep.compact_partitions()
