"""The trigger: tells the rollup tier which counters changed, and forgets it.

It is best effort by design. Whatever happens to it costs a counter at most one sweep
period, never an event: so nothing here raises, retries, or waits beyond the broker
time-outs in the settings.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from rollups.tasks import EXPIRES_SECONDS, rollup

logger = logging.getLogger(__name__)

# How many counters one message names at most: what one fold takes in well under a second.
MESSAGE_COUNTERS = 500


class Breaker:
    """After a failure, says for a moment that the broker is not to be tried."""

    PAUSE_SECONDS = 1.0

    def __init__(self) -> None:
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self._open_until

    def trip(self) -> None:
        self._open_until = time.monotonic() + self.PAUSE_SECONDS

    def reset(self) -> None:
        self._open_until = 0.0


breaker = Breaker()


def request(
    counter_ids: Collection[int], *, expires_seconds: float = EXPIRES_SECONDS
) -> int:
    """Ask the workers to fold these counters; never raises. Return how many were sent.

    Takes at most the broker time-outs of the settings, and no time while the breaker is
    open. The sweep finds what was not sent.
    """
    ids = sorted(counter_ids)
    sent = 0
    for start in range(0, len(ids), MESSAGE_COUNTERS):
        batch = ids[start : start + MESSAGE_COUNTERS]
        if breaker.is_open or not _publish(batch, expires_seconds):
            break
        sent += len(batch)
    return sent


def _publish(counter_ids: list[int], expires_seconds: float) -> bool:
    try:
        rollup.apply_async(
            args=[counter_ids],  # type: ignore[arg-type]
            ignore_result=True,
            retry=False,
            expires=expires_seconds,
        )
    # Not only OperationalError: a broker that refuses a queue's arguments raises errors
    # of its own. None of them may reach the writer, whose event is committed.
    except Exception as error:
        breaker.trip()
        logger.warning(
            "Trigger not sent (%s: %s); the sweep will find its %d counter(s)."
            " No more triggers for %g s.",
            type(error).__name__,
            error,
            len(counter_ids),
            Breaker.PAUSE_SECONDS,
        )
        return False
    return True
