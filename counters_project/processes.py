"""Child processes that never outlive the process that started them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# What a process gets to obey a signal that it cannot put off.
_LAST_PATIENCE_SECONDS = 10.0
# Loaded before any fork: the child may not take the locks that loading needs.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Account:
    """The operating system's user that a program runs as."""

    name: str
    user_id: int
    group_id: int


@dataclass(frozen=True, kw_only=True)
class Program:
    """How to start a program, and how to stop it."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    # For impatient people, and for the moment when the parent dies without a word.
    hurry_signal: signal.Signals = signal.SIGKILL
    stop_within_seconds: float = 10


def start(program: Program) -> subprocess.Popen[bytes]:
    """Start the program in a session of its own, its output appended to its log.

    A Ctrl-C in the terminal does not reach it; the kernel ends it when we die.
    """
    account = program.account
    program.log.touch(mode=0o600)
    with program.log.open("ab") as log:
        return subprocess.Popen(  # noqa: S603
            program.argv,
            env=program.env,
            cwd=program.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=account.user_id if account else None,
            group=account.group_id if account else None,
            extra_groups=[] if account else None,
            preexec_fn=_end_with_parent(program.hurry_signal, os.getpid()),
        )


def stop_with_parent() -> None:
    """Make the kernel send this process SIGTERM when its parent dies."""
    _end_with_parent(signal.SIGTERM, os.getppid())()


def reap(process: subprocess.Popen[bytes]) -> int | None:
    """Return the exit code once the process has ended, and end what it left behind.

    Its group is ended while the leader is a zombie still: until it is waited for, nobody
    else can have its number.
    """
    if process.returncode is not None:
        return process.returncode
    if hasattr(os, "waitid"):  # macOS has it from Python 3.13 on
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        # Where somebody else waited for it already, poll() knows how to take that.
        with contextlib.suppress(ChildProcessError):
            if os.waitid(os.P_PID, process.pid, flags) is None:
                return None
            _kill_group(process.pid)
    return process.poll()


def end(
    process: subprocess.Popen[bytes],
    program: Program,
    *,
    in_a_hurry: Callable[[], bool] = lambda: False,
) -> None:
    """Ask the process to stop and wait; late or in a hurry, leave it no choice."""
    for way, patience_seconds in (
        (program.stop_signal, program.stop_within_seconds),
        (program.hurry_signal, _LAST_PATIENCE_SECONDS),
        (signal.SIGKILL, _LAST_PATIENCE_SECONDS),
    ):
        deadline = time.monotonic() + patience_seconds
        if way == program.stop_signal and in_a_hurry():
            continue
        if reap(process) is None:
            process.send_signal(way)
        while reap(process) is None and time.monotonic() < deadline:
            if way == program.stop_signal and in_a_hurry():
                break
            time.sleep(0.02)
        if process.returncode is not None:
            return


def tail(log: Path, *, lines: int = 15) -> str:
    """Return the last lines of a log, for a message about what went wrong."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def _end_with_parent(with_signal: signal.Signals, parent: int) -> Callable[[], None]:
    def ask_kernel() -> None:
        # Runs after the change of user: that change would have cleared the request.
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), with_signal)

    return ask_kernel


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
