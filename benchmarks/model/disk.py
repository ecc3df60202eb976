"""What a flush takes on the disk of the data directory, without PostgreSQL."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

SEGMENT_BYTES = 16 * 2**20
SMALL_BYTES, LARGE_BYTES = 8192, 2**20
FLUSHES, LARGE_FLUSHES = 1_000, 60
# What the model draws from.
KEPT = 200


@dataclass(frozen=True, slots=True)
class Disk:
    """Flushes of one page, evenly spaced among all that were timed; CPU; bytes a second."""

    seconds: list[float]
    cpu_seconds: float
    bytes_per_second: float


def measure(directory: Path) -> Disk:
    """Write and flush as PostgreSQL does into a segment of its log that exists already."""
    path = directory / "flushes"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, bytes(SEGMENT_BYTES), 0)
        os.fsync(descriptor)
        cpu = time.process_time()
        small = _flushes(descriptor, SMALL_BYTES, FLUSHES)
        cpu = (time.process_time() - cpu) / FLUSHES
        large = _flushes(descriptor, LARGE_BYTES, LARGE_FLUSHES)
    finally:
        os.close(descriptor)
        path.unlink()
    more = large[len(large) // 2] - small[len(small) // 2]
    return Disk(
        [round(one, 7) for one in small[:: FLUSHES // KEPT]],
        cpu,
        (LARGE_BYTES - SMALL_BYTES) / max(more, 1e-6),
    )


def _flushes(descriptor: int, size: int, times: int) -> list[float]:
    """Return what each took, in seconds, shortest first."""
    block, took = os.urandom(size), []
    for i in range(times):
        began = time.perf_counter()
        os.pwrite(descriptor, block, i * size % SEGMENT_BYTES)
        os.fdatasync(descriptor)
        took.append(time.perf_counter() - began)
    return sorted(took)
