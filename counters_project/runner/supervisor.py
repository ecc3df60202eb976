"""Start programs in order, restart those that end, and stop all of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from counters_project.runner import processes
from counters_project.runner.config import CannotStartError
from counters_project.runner.processes import Program

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
# A child that ran for this long starts again with the shortest pause.
_STEADY_AFTER_SECONDS = 60.0
_ONE_KEYSTROKE_SECONDS = 0.5
_LOG_LIMIT_BYTES = 20 * 1024 * 1024
_CHECK_LOGS_EVERY_SECONDS = 10.0


class StopRequested(Exception):
    """The user pressed Ctrl-C or closed the terminal, or SIGTERM arrived."""


@dataclass
class Child:
    """A supervised program; `process` is None between its end and its restart."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    identity: processes.Recorded | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    ends_in_a_row: int = 0


class Supervisor:
    """Keep children running. There is one thread; all work happens in `pause`."""

    def __init__(
        self,
        *,
        record: Path,
        say: Callable[[str], None],
        when_pids_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.when_pids_change = when_pids_change
        # How often in a row a child may end during start-up; None: no limit.
        self.ends_allowed: int | None = 3
        self.record = record
        self._say = say
        self._children: list[Child] = []
        self._stop_signals = 0
        self._stop_signal_at = 0.0
        self._logs_checked_at = time.monotonic()

    def listen_to_signals(self) -> None:
        """Make Ctrl-C, SIGTERM and SIGHUP stop the service in order."""
        signal.signal(signal.SIGINT, self._count_stop_signal)
        signal.signal(signal.SIGTERM, self._count_stop_signal)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # not under nohup
            signal.signal(signal.SIGHUP, self._count_stop_signal)

    def start(self, program: Program) -> None:
        """Start a child, restart it when it ends, and stop it in `stop`."""
        child = Child(program)
        self._children.append(child)
        self._start(child)

    def run_step(self, program: Program) -> int:
        """Run a program to its end and return its exit code; end it on a stop request."""
        step = processes.start(program)
        try:
            while (code := processes.reap(step)) is None:
                self.pause(0.05)
        finally:
            processes.end(step, program, in_a_hurry=self._in_a_hurry)
        return code

    def settle(self, seconds: float) -> None:
        """Return when every child has run for this time without ending."""
        while any(
            child.process is None or time.monotonic() - child.started_at < seconds
            for child in self._children
        ):
            self.pause(0.1)

    def pids(self) -> dict[str, int]:
        """Return the process id of each running child, by name."""
        return {
            child.program.name: child.process.pid
            for child in self._children
            if child.process is not None
        }

    def pause(self, seconds: float) -> None:
        """Wait, then check children and logs.

        A signal does not end the wait, so wait for a tenth of a second at most.
        Raises StopRequested, and CannotStartError while `ends_allowed` is set.
        """
        if not self._stop_signals:
            time.sleep(seconds)
        if self._stop_signals:
            raise StopRequested
        self._check_children()
        self._check_logs()

    def run(self) -> NoReturn:
        """Keep the children running until a stop request."""
        self.ends_allowed = None
        while True:
            self.pause(0.1)

    def stop(self) -> None:
        """Stop the children, last started first; another Ctrl-C forces them."""
        for child in reversed(self._children):
            if child.process is not None:
                self._say(f"Stopping {child.program.name}")
                processes.end(child.process, child.program, in_a_hurry=self._in_a_hurry)
        self._children.clear()
        self.record.unlink(missing_ok=True)

    def _start(self, child: Child) -> None:
        program = child.program
        child.process = processes.start(program)
        child.started_at = time.monotonic()
        child.identity = processes.identify(
            child.process,
            name=program.name,
            stop_signal=program.stop_signal,
            stop_within_seconds=program.stop_within_seconds,
        )
        try:
            processes.record_children(
                self.record,
                [other.identity for other in self._children if other.identity],
            )
            self.when_pids_change()
        except OSError as error:  # a full disk must not stop what runs
            self._say(f"Cannot write the process ids: {error}")

    def _check_children(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.restart_at:
                    self._start(child)
                    self._say(f"{child.program.name} has been restarted")
            elif (code := processes.reap(child.process)) is not None:
                self._plan_restart(child, code, now)

    def _plan_restart(self, child: Child, code: int, now: float) -> None:
        program = child.program
        if now - child.started_at > _STEADY_AFTER_SECONDS:
            child.ends_in_a_row = 0
        pause = min(
            _FIRST_PAUSE_SECONDS * 2**child.ends_in_a_row, _LONGEST_PAUSE_SECONDS
        )
        child.ends_in_a_row += 1
        child.process = None
        child.identity = None
        child.restart_at = now + pause
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        if self.ends_allowed is not None and child.ends_in_a_row >= self.ends_allowed:
            raise CannotStartError(
                f"{program.name} ended {how}, {child.ends_in_a_row} times in a row."
                f" The end of {program.log}:\n{processes.tail(program.log)}"
            )
        self._say(
            f"{program.name} ended {how}; it restarts in {pause:g} s"
            f" (log: {program.log})"
        )

    def _check_logs(self) -> None:
        """Bound the size of each log: keep one old copy and truncate the file.

        Children append, so they continue at the new end. A line that is written between
        the copy and the truncation may be lost.
        """
        now = time.monotonic()
        if now - self._logs_checked_at < _CHECK_LOGS_EVERY_SECONDS:
            return
        self._logs_checked_at = now
        for child in self._children:
            log = child.program.log
            if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
                shutil.copy(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)

    def _count_stop_signal(self, signum: int, frame: FrameType | None) -> None:
        # `make` may send one Ctrl-C twice; only a later one counts as a second.
        now = time.monotonic()
        if now - self._stop_signal_at > _ONE_KEYSTROKE_SECONDS:
            self._stop_signals += 1
        self._stop_signal_at = now

    def _in_a_hurry(self) -> bool:
        return self._stop_signals > 1
