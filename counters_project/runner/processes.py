"""Start and stop child processes, and end those that a killed run left behind."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import psutil

from counters_project.embedded.data_dir import write_private

_PR_SET_PDEATHSIG = 1
# Environment variable of every child: the data directory of its service.
OWNER_VARIABLE = "COUNTERS_SUPERVISED_BY"
# How long a process may take to end after a signal that it cannot ignore.
_FORCED_END_SECONDS = 10.0
# Loaded before any fork: loading takes locks, which are not safe in a forked child.
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
    # Sent after a second Ctrl-C, and by the kernel when the parent dies.
    hurry_signal: signal.Signals = signal.SIGKILL
    stop_within_seconds: float = 10


def start(program: Program) -> subprocess.Popen[bytes]:
    """Start the program in a new session; append its output to its log.

    Ctrl-C in the terminal does not reach it. The kernel ends it when this process dies.
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
    """Return the exit code if the process has ended, and kill the rest of its group.

    The group is killed before the leader is waited for: until then the kernel cannot
    give the process id to another process.
    """
    if process.returncode is not None:
        return process.returncode
    if hasattr(os, "waitid"):  # macOS has it from Python 3.13 on
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        # ChildProcessError: other code has waited for it; poll() handles that.
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
    """Stop the process; force it when it is late or `in_a_hurry()` is true."""
    for way, within_seconds in (
        (program.stop_signal, program.stop_within_seconds),
        (program.hurry_signal, _FORCED_END_SECONDS),
        (signal.SIGKILL, _FORCED_END_SECONDS),
    ):
        deadline = time.monotonic() + within_seconds
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
    """Return the last lines of a log, for an error message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def _end_with_parent(with_signal: signal.Signals, parent: int) -> Callable[[], None]:
    def ask_kernel() -> None:
        # Must run after the change of user, which clears this request.
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), with_signal)

    return ask_kernel


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


class Recorded(TypedDict):
    """A child process; its creation time tells it from a later one with the same id."""

    name: str
    pid: int
    created: float
    stop_signal: int
    stop_within_seconds: float


def identify(
    process: subprocess.Popen[bytes],
    *,
    name: str,
    stop_signal: int,
    stop_within_seconds: float,
) -> Recorded | None:
    """Return the identity of the process, or None if it has ended."""
    try:
        created = psutil.Process(process.pid).create_time()
    except psutil.NoSuchProcess:
        return None
    return {
        "name": name,
        "pid": process.pid,
        "created": created,
        "stop_signal": stop_signal,
        "stop_within_seconds": stop_within_seconds,
    }


def record_children(path: Path, children: Iterable[Recorded]) -> None:
    """Write the running children to a file, in the order of their start."""
    write_private(path, json.dumps(list(children)))


def end_orphans(path: Path) -> list[str]:
    """End the processes of a killed run, so that their ports are free; return names."""
    try:
        recorded: list[Recorded] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return []
    killed: list[psutil.Process] = []
    ended = [entry["name"] for entry in reversed(recorded) if _end_child(entry, killed)]
    for entry in recorded:
        killed += _kill_orphans(entry["pid"], owner=path.parent)
    # A killed process keeps its port until the kernel has freed its memory.
    psutil.wait_procs(killed, timeout=_FORCED_END_SECONDS)
    path.unlink(missing_ok=True)
    return ended


def _end_child(entry: Recorded, killed: list[psutil.Process]) -> bool:
    """End a child; kill its descendants and add them to `killed`."""
    try:
        process = psutil.Process(entry["pid"])
        if process.create_time() != entry["created"]:
            return False
        descendants = process.children(recursive=True)
        process.send_signal(entry["stop_signal"])
        try:
            process.wait(entry["stop_within_seconds"])
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(10)
    except psutil.NoSuchProcess:
        return False
    for descendant in descendants:
        with contextlib.suppress(psutil.NoSuchProcess):
            descendant.kill()
            killed.append(descendant)
    return True


def _kill_orphans(session: int, *, owner: Path) -> list[psutil.Process]:
    """Kill and return the processes of an ended child's session."""
    killed = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) != session:
                continue
            if process.environ().get(OWNER_VARIABLE) == str(owner):
                process.send_signal(signal.SIGKILL)
                killed.append(process)
        except (psutil.Error, OSError):  # it has ended, or belongs to another user
            continue
    return killed
