"""The write-ahead log: one flush at a time, which settles all commits that wait for it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import simpy

from benchmarks.model.processor import Cores, Processor


class Log:
    """Group commit: who comes during a flush waits for the next one, with all others."""

    def __init__(
        self,
        env: simpy.Environment,
        processor: Processor | Cores,
        chance: random.Random,
        *,
        flush_seconds: Sequence[float],
        bytes_per_second: float,
        cpu_seconds: float,
    ) -> None:
        """`flush_seconds` are what flushes took, to draw from; CPU time is of each flush."""
        self.env = env
        self.flushes = 0
        self.commits = 0
        self.busy = 0.0
        self._processor = processor
        self._chance = chance
        self._flush_seconds = flush_seconds
        self._bytes_per_second = bytes_per_second
        self._cpu_seconds = cpu_seconds
        self._waiting: list[simpy.Event] = []
        self._bytes = 0.0
        self._flushing = False

    def commit(self, wal_bytes: float) -> simpy.Event:
        """Return an event that comes when so many bytes are on the disk."""
        done = self.env.event()
        self._waiting.append(done)
        self._bytes += wal_bytes
        if not self._flushing:
            self._flushing = True
            self.env.process(self._flush())
        return done

    def _flush(self) -> simpy.events.ProcessGenerator:
        while self._waiting:
            settled, self._waiting = self._waiting, []
            size, self._bytes = self._bytes, 0.0
            seconds = self._chance.choice(self._flush_seconds)
            seconds += size / self._bytes_per_second
            began = self.env.now
            # The kernel's work for it, beside the disk's. Who wakes from a disk is let run
            # before those who have just run: else flushes would be few, and long.
            cpu = self._processor.use(self._cpu_seconds, urgent=True)
            yield self.env.timeout(seconds) & cpu
            self.busy += self.env.now - began
            self.flushes += 1
            self.commits += len(settled)
            for one in settled:
                one.succeed()
        self._flushing = False
