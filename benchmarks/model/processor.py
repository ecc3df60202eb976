"""Stations of several cores, shared as an operating system shares them."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from itertools import count

import simpy

# For how long a kernel lets a process run before the next one has its turn: Linux's default
# on two cores.
SLICE_SECONDS = 0.003


class Processor:
    """Processor sharing: each of n jobs runs at min(1, cores / n), whichever core it is on.

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

    @property
    def jobs(self) -> int:
        return len(self._jobs)

    def use(self, seconds: float, *, urgent: bool = False) -> simpy.Event:
        """Return an event that comes when a job of so many CPU seconds has run.

        All run at once here, so none needs to be urgent.
        """
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


class Core:
    """One core, on which jobs take turns: who came first runs first, for a slice at most.

    What processes of a database need at a time is a fraction of a kernel's slice, so in
    effect each runs to its end. A fold, which needs ten times as much as an add, is not held
    up by ten adds for each of its parts, as it would be where all ran at once and slowly.
    """

    def __init__(self, env: simpy.Environment, speed: float) -> None:
        """`speed` is what of the core is left to us."""
        self.env = env
        # Core seconds that were used since the beginning.
        self.busy = 0.0
        self._speed = speed
        self._urgent: deque[tuple[float, simpy.Event]] = deque()
        self._waiting: deque[tuple[float, simpy.Event]] = deque()
        self._running = False

    @property
    def jobs(self) -> int:
        return len(self._urgent) + len(self._waiting) + self._running

    def use(self, seconds: float, *, urgent: bool = False) -> simpy.Event:
        """Return an event that comes when a job of so many CPU seconds has run."""
        done = self.env.event()
        (self._urgent if urgent else self._waiting).append((seconds, done))
        if not self._running:
            self._run_next()
        return done

    def _run_next(self) -> None:
        queue = self._urgent or self._waiting
        self._running = bool(queue)
        if not self._running:
            return
        left, done = queue.popleft()
        ran = min(left, SLICE_SECONDS)
        wake_up = simpy.Timeout(self.env, ran / self._speed)
        wake_up.callbacks.append(lambda _: self._end_slice(left, ran, done))

    def _end_slice(self, left: float, ran: float, done: simpy.Event) -> None:
        self.busy += ran
        if left > ran:
            # Who has used a slice up is one of many.
            self._waiting.append((left - ran, done))
        else:
            done.succeed()
        self._run_next()


class Cores:
    """Cores of one machine between which the jobs do not move.

    A job that wakes goes to the core with the fewest jobs; but a share of them, `sticky`,
    goes to one at random, though another may have nothing to do. That is what a kernel does
    that puts a process beside the one that woke it, which it takes to be about to sleep.
    """

    def __init__(
        self,
        env: simpy.Environment,
        cores: float,
        *,
        sticky: float,
        chance: random.Random,
    ) -> None:
        self.cores = cores
        self._sticky = sticky
        self._chance = chance
        whole = math.ceil(cores)
        # What others use they use of all alike.
        self._each = [Core(env, cores / whole) for _ in range(whole)]

    @property
    def busy(self) -> float:
        return sum(core.busy for core in self._each)

    def use(self, seconds: float, *, urgent: bool = False) -> simpy.Event:
        """Return an event that comes when a job of so many CPU seconds has run.

        An urgent one is the next on its core.
        """
        if self._chance.random() < self._sticky:
            core = self._chance.choice(self._each)
        else:
            core = min(self._each, key=lambda each: each.jobs)
        return core.use(seconds, urgent=urgent)
