"""Runs programs together: starts them in order, restarts one that dies, stops them all."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from counters_project import leftovers, processes
from counters_project.processes import Program

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
# A child that ran for this long starts again with the shortest pause.
_STEADY_AFTER_SECONDS = 60.0
_ONE_KEYSTROKE_SECONDS = 0.5
_LOG_LIMIT_BYTES = 20 * 1024 * 1024
_LOOK_AT_LOGS_EVERY_SECONDS = 10.0


class StopRequested(Exception):
    """Somebody pressed Ctrl-C, closed the terminal or sent SIGTERM."""


class ChildKeepsEndingError(Exception):
    """A child ended again and again while the service was starting."""


@dataclass
class Child:
    """A program under supervision. `process` is None between an end and the restart."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    identity: leftovers.Recorded | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    ends_in_a_row: int = 0


class Supervisor:
    """Keeps children running. One thread: `pause` is where everything happens."""

    def __init__(
        self,
        *,
        record: Path,
        say: Callable[[str], None],
        when_pids_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.when_pids_change = when_pids_change
        # While starting, a child may end this often in a row; after that it may for ever.
        self.ends_allowed: int | None = 3
        self.record = record
        self._say = say
        self._children: list[Child] = []
        self._stop_signals = 0
        self._stop_signal_at = 0.0
        self._logs_seen_at = time.monotonic()
        self._wake, self._woken = socket.socketpair()
        for end in (self._wake, self._woken):
            end.setblocking(False)

    def listen_to_signals(self) -> None:
        """Turn Ctrl-C, SIGTERM and SIGHUP into an orderly stop, from now on."""
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, self._count_stop_signal)
        signal.signal(signal.SIGTERM, self._count_stop_signal)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # not under nohup
            signal.signal(signal.SIGHUP, self._count_stop_signal)
        # The handler is empty: the byte that Python writes ends our wait at once.
        signal.signal(signal.SIGCHLD, lambda signum, frame: None)

    def start(self, program: Program) -> None:
        """Start a child; it is restarted when it ends and stopped by `stop`."""
        child = Child(program)
        self._children.append(child)
        self._start(child)

    def run_step(self, program: Program) -> int:
        """Run a program to its end and return its exit code; a stop request ends it."""
        step = processes.start(program)
        try:
            while (code := processes.reap(step)) is None:
                self.pause(1)
        finally:
            processes.end(step, program, in_a_hurry=self._in_a_hurry)
        return code

    def settle(self, seconds: float) -> None:
        """Return when every child has run for so long without ending."""
        while any(
            child.process is None or time.monotonic() - child.started_at < seconds
            for child in self._children
        ):
            self.pause(0.1)

    def pids(self) -> dict[str, int]:
        """Return the process id of each child that runs, by name."""
        return {
            child.program.name: child.process.pid
            for child in self._children
            if child.process is not None
        }

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than until the next signal, and look after the children.

        Raises StopRequested, and ChildKeepsEndingError while `ends_allowed` is set.
        """
        if self._stop_signals:
            raise StopRequested
        readable, _, _ = select.select([self._woken], [], [], seconds)
        if readable:
            self._woken.recv(4096)
        if self._stop_signals:
            raise StopRequested
        self._look_after_children()
        self._look_after_logs()

    def run(self) -> NoReturn:
        """Look after the children until somebody asks for the end."""
        self.ends_allowed = None
        while True:
            self.pause(0.5)

    def stop(self) -> None:
        """Stop the children, last started first. One more Ctrl-C hurries."""
        for child in reversed(self._children):
            if child.process is not None:
                self._say(f"stopping {child.program.name}")
                processes.end(child.process, child.program, in_a_hurry=self._in_a_hurry)
        self._children.clear()
        self.record.unlink(missing_ok=True)

    def close(self) -> None:
        """Give back what the supervisor itself holds."""
        self._wake.close()
        self._woken.close()

    def _start(self, child: Child) -> None:
        program = child.program
        child.process = processes.start(program)
        child.started_at = time.monotonic()
        child.identity = leftovers.describe(
            child.process,
            name=program.name,
            stop_signal=program.stop_signal,
            stop_within_seconds=program.stop_within_seconds,
        )
        try:
            leftovers.record(
                self.record,
                [other.identity for other in self._children if other.identity],
            )
            self.when_pids_change()
        except OSError as error:  # a full disk must not stop what runs
            self._say(f"cannot write down the process ids: {error}")

    def _look_after_children(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.restart_at:
                    self._start(child)
                    self._say(f"{child.program.name} runs again")
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
            raise ChildKeepsEndingError(
                f"{program.name} ended {how}, {child.ends_in_a_row} times in a row."
                f" The end of {program.log}:\n{processes.tail(program.log)}"
            )
        self._say(
            f"{program.name} ended {how}; starting it again in {pause:g} s"
            f" (log: {program.log})"
        )

    def _look_after_logs(self) -> None:
        """Keep each log bounded: one old copy, then the file is emptied in place.

        Children append, so they go on at the new end. A line written between the copy
        and the cut may be lost.
        """
        now = time.monotonic()
        if now - self._logs_seen_at < _LOOK_AT_LOGS_EVERY_SECONDS:
            return
        self._logs_seen_at = now
        for child in self._children:
            log = child.program.log
            if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
                shutil.copy(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)

    def _count_stop_signal(self, signum: int, frame: FrameType | None) -> None:
        # One Ctrl-C may arrive twice, by way of `make`; only a later one is another.
        now = time.monotonic()
        if now - self._stop_signal_at > _ONE_KEYSTROKE_SECONDS:
            self._stop_signals += 1
        self._stop_signal_at = now

    def _in_a_hurry(self) -> bool:
        return self._stop_signals > 1
