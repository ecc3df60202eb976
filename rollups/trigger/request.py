"""Trigger: tell the workers which counters changed.

Best effort by design. A trigger that is lost costs a counter at most one sweep period of
staleness, never an event. So nothing here raises, retries, or waits longer than the time-outs.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from rollups import conf
from rollups.trigger import publisher
from rollups.trigger.publisher import MESSAGE_COUNTERS

logger = logging.getLogger(__name__)


def request(counter_ids: Collection[int], *, events: int = 0) -> int:
    """Ask the workers to fold these counters; return how many were accepted.

    `events` were just recorded, for the metrics. In background mode this touches no socket. In inline mode it takes a few broker time-outs
    at most, and no time while the circuit breaker is open.
    """
    if conf.trigger_mode() == "background":
        return publisher.get().put(counter_ids, events=events)
    publisher.get().count_adds(events)
    return send(sorted(counter_ids))


def send(
    counter_ids: Sequence[int],
    *,
    expires_seconds: float | None = None,
    countdown_seconds: float | None = None,
    **options: object,
) -> int:
    """Publish at once, in the given order; return how many counters were published.

    For inline mode, the sweep and re-enqueued counters. `options` are keyword arguments of the
    rollup task. Stops at the first message that fails: the sweep finds the rest.
    """
    if conf.trigger_mode() == "off":
        return 0
    for start in range(0, len(counter_ids), MESSAGE_COUNTERS):
        batch = counter_ids[start : start + MESSAGE_COUNTERS]
        try:
            publisher.get().publish(
                batch,
                expires_seconds=expires_seconds,
                countdown_seconds=countdown_seconds,
                **options,
            )
        # The publisher has counted and logged it. The event is committed, so the writer must
        # not see the error.
        except Exception as error:
            logger.debug("Stopped after %d of %d: %r", start, len(counter_ids), error)
            return start
    return len(counter_ids)
