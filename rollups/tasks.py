"""The rollup task: what the trigger enqueues. Safe to run twice, never retried."""

from __future__ import annotations

from celery import shared_task

from rollups import circulation
from rollups.folding import fold

# A trigger that waited longer than this is dropped by the worker: by then the sweep has
# sent a newer one, and a queue that nobody reads does not grow without end.
EXPIRES_SECONDS = 60


@shared_task(name="rollup", ignore_result=True, expires=EXPIRES_SECONDS)
def rollup(counter_ids: list[int]) -> None:
    """Fold these counters; those still pending afterwards stay in circulation."""
    again = circulation.take_turn(fold(counter_ids).still_pending)
    if again:
        rollup.apply_async(
            args=[again],  # type: ignore[arg-type]
            countdown=circulation.PAUSE_SECONDS,
            ignore_result=True,
            retry=False,
        )
