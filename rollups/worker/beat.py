"""Beat's scheduler: Celery's own, which neither a clock nor a broker brings to a halt."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from celery.beat import PersistentScheduler, SchedulingError


class SteadyScheduler(PersistentScheduler):
    """Goes on where Celery's scheduler stops sending.

    Celery waits for a period after the last run by the wall clock: set back by an hour,
    it would start no sweep for an hour. And without retries of its own, which would hold
    it up, it keeps the channel of a RabbitMQ connection that was cut, and fails for ever.
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
            # The queue of what is due next has the old times; it is made anew.
            self._heap = None
        delay: float = super().tick(*args, **kwargs)
        return delay

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().apply_async(*args, **kwargs)
        except SchedulingError:
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        """Connect again for the next run; as kombu does where it retries."""
        # Closing says goodbye, for which nobody may answer.
        with suppress(Exception):
            self.connection.collect()
        producer: Any = self.producer
        producer.revive(self.connection)
