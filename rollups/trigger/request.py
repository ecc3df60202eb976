"""The trigger: tells the rollup tier which counters changed, and forgets it.

It is best effort by design. Whatever happens to it costs a counter at most one sweep
period, never an event: so nothing here raises, retries, or waits for a broker beyond the
time-outs in the settings.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import cache
from typing import Any

from rollups import conf
from rollups.trigger.publisher import MESSAGE_COUNTERS
from rollups.worker.tasks import rollup

logger = logging.getLogger(__name__)


def request(counter_ids: Collection[int]) -> int:
    """Ask the workers to fold these counters; never raises. Return how many were asked.

    In the background mode this touches no socket; inline it takes a handful of broker
    time-outs at most, and no time while the breaker is open. The sweep finds the rest.
    """
    return _enqueue(sorted(counter_ids))


def send(counter_ids: Collection[int], *, expires_seconds: float, sweep_id: int) -> int:
    """As `request`, for the sweep: at once, in the given order, with its own expiry."""
    return _enqueue(
        list(counter_ids), expires=expires_seconds, kwargs={"sweep_id": sweep_id}
    )


def _enqueue(ids: list[int], **options: Any) -> int:
    """Enqueue in bounded messages; stop at the first that is not taken."""
    if conf.trigger_mode() == "off":
        return 0
    task = _task()
    for start in range(0, len(ids), MESSAGE_COUNTERS):
        batch = ids[start : start + MESSAGE_COUNTERS]
        try:
            task.apply_async(args=[batch], ignore_result=True, retry=False, **options)
        # Counted and logged where it happened. Nothing of it may reach the writer, whose
        # event is committed.
        except Exception as error:
            logger.debug("Stopped after %d of %d: %r", start, len(ids), error)
            return start
    return len(ids)


@cache
def _task() -> Any:
    """Return the task itself: finding it behind Celery's proxy costs a microsecond."""
    proxy: Any = rollup
    return proxy._get_current_object()
