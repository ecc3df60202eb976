"""What this machine has, so far as the embedded servers are sized by it."""

from __future__ import annotations

from pathlib import Path

import psutil

MEGABYTE = 1024 * 1024
_CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def memory_bytes() -> int:
    """Return the memory that we may use: the machine's, or the container's if less."""
    limits = [int(psutil.virtual_memory().total)]
    for path in _CONTAINER_LIMITS:
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):  # no such limit, or the word "max"
            continue
    return min(limits)
