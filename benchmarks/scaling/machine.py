"""What a figure is to be read with: machine, versions, durability, commit, time."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.scaling.filling import execute

# What "acknowledged" is to mean; no figure here is of a server that is set otherwise.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


def facts() -> dict[str, str]:
    """Return what there is to know of this run. Raises SystemExit unless it is durable."""
    for name, wanted in DURABLE.items():
        if (found := _show(name)) != wanted:
            sys.exit(f"PostgreSQL has {name}={found}; these figures need {wanted}.")
    gigabytes = psutil.virtual_memory().total / 2**30
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {gigabytes:.0f} GiB",
        "PostgreSQL": f"{_show('server_version')}, shared_buffers={_show('shared_buffers')}",
        "durability": ", ".join(f"{name}={value}" for name, value in DURABLE.items()),
        "Python": platform.python_version(),
        "commit": _commit(),
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }


def _show(setting: str) -> str:
    [(value,)] = execute("SELECT current_setting(%s)", [setting])
    return str(value)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _commit() -> str:
    git = ["git", "describe", "--always", "--dirty"]
    answer = subprocess.run(git, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"
