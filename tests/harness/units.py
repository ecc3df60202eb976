"""A program of the service as a process group: started, stopped, killed, started again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress

from counters_project.runner import processes
from counters_project.runner.processes import Program

_PAUSE_SECONDS = 0.5


class Unit:
    """One program. Whoever kills it says so; otherwise it is started again when it ends."""

    def __init__(self, name: str, program: Program) -> None:
        self.name = name
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        # It ended although nobody killed it, and was started again: with these codes.
        self.ended_with: list[int] = []
        self.held_down = False
        self._started_at = 0.0

    def start(self) -> None:
        self.held_down = False
        if self.process is None:
            self._started_at = time.monotonic()
            self.process = processes.start(self.program)

    def kill(self) -> None:
        """SIGKILL the whole group; it stays down until `start`."""
        self.held_down = True
        self.signal(signal.SIGKILL)
        self.wait()

    def change(self, program: Program) -> None:
        """Kill it, and start another program in its place."""
        self.kill()
        self.program = program
        self.start()

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def wait(self) -> None:
        if self.process is not None:
            self.process.wait(60)
            self.process = None

    def tend(self) -> None:
        """Start it again if it ended, as a supervisor does."""
        if self.held_down:
            return
        if self.process is not None:
            code = processes.reap(self.process)
            if code is not None:
                self.process = None
                self.ended_with.append(code)
        if (
            self.process is None
            and time.monotonic() > self._started_at + _PAUSE_SECONDS
        ):
            self.start()

    def end(self) -> None:
        if self.process is not None:
            # It may be stopped, and could not end then.
            self.signal(signal.SIGCONT)
            processes.end(self.process, self.program)
            self.process = None
