"""Ends what an earlier run of the service left behind, by process id and never by name."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

import psutil

from counters_project.embedded.private import write_private

# What processes get to be gone once they are killed.
_GONE_WITHIN_SECONDS = 10.0
# In the environment of every child: whose it is.
OWNER_VARIABLE = "COUNTERS_SUPERVISED_BY"


class Recorded(TypedDict):
    """A child process. Its number alone says little: numbers are given away again."""

    name: str
    pid: int
    created: float
    stop_signal: int
    stop_within_seconds: float


def describe(
    process: subprocess.Popen[bytes],
    *,
    name: str,
    stop_signal: int,
    stop_within_seconds: float,
) -> Recorded | None:
    """Return what identifies the process, or nothing when it has ended already."""
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


def record(path: Path, children: Iterable[Recorded]) -> None:
    """Write down the children that run, in the order in which they were started."""
    write_private(path, json.dumps(list(children)))


def end_leftovers(path: Path) -> list[str]:
    """End the processes of the last run and return the names of those that still ran.

    What they held, a port above all, is free then.
    """
    try:
        recorded: list[Recorded] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return []
    killed: list[psutil.Process] = []
    ended = [entry["name"] for entry in reversed(recorded) if _end(entry, killed)]
    for entry in recorded:
        killed += _kill_orphans(entry["pid"], owner=path.parent)
    # A killed process keeps its port until the kernel has taken its memory apart.
    psutil.wait_procs(killed, timeout=_GONE_WITHIN_SECONDS)
    path.unlink(missing_ok=True)
    return ended


def _end(entry: Recorded, killed: list[psutil.Process]) -> bool:
    """End a child, and add its descendants, which are only killed, to the list."""
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
    """Kill processes of the child's session that outlived the child; return them."""
    killed = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) != session:
                continue
            if process.environ().get(OWNER_VARIABLE) == str(owner):
                process.send_signal(signal.SIGKILL)
                killed.append(process)
        except (psutil.Error, OSError):  # ended meanwhile, or somebody else's
            continue
    return killed
