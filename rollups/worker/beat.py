"""Beat's scheduler: Celery's own, which goes on after the clock was set back."""

from __future__ import annotations

from typing import Any

from celery.beat import PersistentScheduler


class SteadyScheduler(PersistentScheduler):
    """Take a last run in the future for one of just now.

    Celery waits for a period after the last run by the wall clock: if the clock is set back
    by an hour, it starts no sweep for an hour.
    """

    def tick(self, *args: Any, **kwargs: Any) -> float:
        now = self.app.now()
        for entry in self.schedule.values():
            entry.last_run_at = min(entry.last_run_at or now, now)
        # The queue of what is due next has the old times.
        self.populate_heap()
        delay: float = super().tick(*args, **kwargs)
        return delay
