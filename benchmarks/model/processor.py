"""A station of several cores that all who run share alike, as an operating system does."""

from __future__ import annotations

import heapq
from itertools import count

import simpy


class Processor:
    """Processor sharing: each of n jobs runs at min(1, cores / n).

    Virtual time goes by at that rate, so a job that needs D ends when D of it has passed:
    an arrival or an end changes the rate for all, and costs the heap only one step.
    """

    def __init__(self, env: simpy.Environment, cores: float) -> None:
        """`cores` need not be whole: others may have a part of them."""
        self.env = env
        self.cores = cores
        # Core seconds that were used since the beginning.
        self.busy = 0.0
        self._virtual = 0.0
        self._since = env.now
        self._jobs: list[tuple[float, int, simpy.Event]] = []
        self._numbers = count()
        # Which wake-up is the valid one: a newer arrival makes an older one void.
        self._generation = 0

    def use(self, seconds: float) -> simpy.Event:
        """Return an event that comes when a job of so many CPU seconds has run."""
        self._advance()
        done = self.env.event()
        ends_at = self._virtual + seconds
        heapq.heappush(self._jobs, (ends_at, next(self._numbers), done))
        self._plan_wake_up()
        return done

    def _advance(self) -> None:
        elapsed = self.env.now - self._since
        self._since = self.env.now
        if self._jobs:
            running = len(self._jobs)
            self._virtual += elapsed * min(1.0, self.cores / running)
            self.busy += elapsed * min(running, self.cores)

    def _plan_wake_up(self) -> None:
        self._generation += 1
        if not self._jobs:
            return
        left = max(0.0, self._jobs[0][0] - self._virtual)
        pace = min(1.0, self.cores / len(self._jobs))
        wake_up = simpy.Timeout(self.env, left / pace, value=self._generation)
        wake_up.callbacks.append(self._wake)

    def _wake(self, wake_up: simpy.Event) -> None:
        if wake_up.value != self._generation:
            return
        self._advance()
        # The first is due, whatever the last digit of a sum says.
        due = self._jobs[0][0]
        while self._jobs and self._jobs[0][0] <= due:
            heapq.heappop(self._jobs)[2].succeed()
        self._plan_wake_up()
