"""What a figure is to be read with: machine, versions, durability, commit, time."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks import ground
from benchmarks.options import Options

PACKAGES = ["Django", "celery", "kombu", "psycopg", "djangorestframework", "gunicorn"]


def collect(options: Options) -> dict[str, str]:
    """Return what there is to know of a run of turns, as words."""
    return of_machine() | {
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "turns": f"{options.rounds} of {options.seconds:g} s each, in turn",
    }


def of_machine() -> dict[str, str]:
    """Return what there is to know of any run: where, on what, by which commit."""
    [(postgres,)] = ground.execute("SHOW server_version")
    [(shared_buffers,)] = ground.execute("SHOW shared_buffers")
    gigabytes = psutil.virtual_memory().total / 2**30
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {gigabytes:.0f} GiB,"
        f" {platform.system()} {platform.machine()}",
        "PostgreSQL": f"{postgres}, shared_buffers={shared_buffers}",
        "durability": ", ".join(f"{k}={v}" for k, v in ground.DURABLE.items()),
        "Python": platform.python_version(),
        "commit": _commit(),
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _commit() -> str:
    git = ["git", "describe", "--always", "--dirty"]
    answer = subprocess.run(git, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"
