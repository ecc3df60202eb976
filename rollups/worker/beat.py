"""Beat's scheduler: Celery's own, kept going after a clock step or a lost connection."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from celery.beat import PersistentScheduler, SchedulingError


class SteadyScheduler(PersistentScheduler):
    """Goes on where Celery's scheduler stops sending.

    Celery waits for a period after the last run by the wall clock: if the clock is set back
    by an hour, it starts no sweep for an hour. Without its own retries, which would delay
    it, it keeps the channel of a closed RabbitMQ connection, and every later send fails.
    """

    def tick(self, *args: Any, **kwargs: Any) -> float:
        now = self.app.now()
        ahead = [
            entry
            for entry in self.schedule.values()
            if entry.last_run_at and entry.last_run_at > now
        ]
        if ahead:
            for entry in ahead:
                entry.last_run_at = now
            # The queue of what is due next has the old times; Celery makes it again.
            self._heap = None
        delay: float = super().tick(*args, **kwargs)
        return delay

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().apply_async(*args, **kwargs)
        except SchedulingError:
            self._reconnect()
            raise

    def _reconnect(self) -> None:
        """Connect again for the next run, as kombu does where it retries."""
        # Without waiting for an answer: the broker may not give one.
        with suppress(Exception):
            self.connection.collect()
        producer: Any = self.producer
        producer.revive(self.connection)
