"""run.json, which describes the running service, and the lock that allows only one."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import IO, TypedDict

from counters_project.embedded.private import write_private


class RunRecord(TypedDict):
    """What `run.json` holds while the service runs and is ready."""

    url: str
    token: str
    database_url: str
    broker_url: str
    cache_url: str
    pids: dict[str, int]


def write(data_dir: Path, described: RunRecord) -> None:
    """Write run.json, readable by its owner only."""
    write_private(_path(data_dir), json.dumps(described, indent=2) + "\n")


def read(data_dir: Path) -> RunRecord | None:
    """Return what the running service wrote, or nothing while it starts or stops."""
    try:
        described: RunRecord = json.loads(_path(data_dir).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return described


def remove(data_dir: Path) -> None:
    """Remove run.json: the service is not ready any more."""
    _path(data_dir).unlink(missing_ok=True)


def try_lock(data_dir: Path) -> IO[str] | None:
    """Lock the data directory until the file is closed; nothing where it is locked.

    The kernel drops the lock with the process, however that ends.
    """
    lock = os.fdopen(os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _path(data_dir: Path) -> Path:
    return data_dir / "run.json"
