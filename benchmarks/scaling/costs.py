"""What a turn takes of the machine: CPU time, WAL, flushes of the WAL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import LiteralString

import psutil

from benchmarks.scaling.filling import execute

WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
# Of the WAL itself; a backend reports at the end of a transaction, at most once a second.
FLUSHES = "SELECT coalesce(sum(fsyncs), 0)::bigint FROM pg_stat_io WHERE object = 'wal'"
REPORTED_AFTER_SECONDS = 1.1


@dataclass(slots=True)
class Cost:
    """What a block took; CPU seconds of PostgreSQL and of another program."""

    seconds: float = 0.0
    postgres_cpu_seconds: float = 0.0
    program_cpu_seconds: float = 0.0
    wal_bytes: int = 0
    flushes: int = 1
    # Of all cores, by whatever ran on the machine, from 0 to 1.
    busy: float = 0.0


@contextmanager
def costing(cost: Cost, *, program: int | None = None) -> Iterator[None]:
    """Write into `cost` what the block takes; `program` is a process with its children."""
    postgres = _postmaster()
    wal, flushes = _number(WAL), _number(FLUSHES)
    before = cpu_seconds(postgres), cpu_seconds(program) if program else 0.0
    psutil.cpu_percent()
    began = time.perf_counter()
    yield
    cost.seconds = time.perf_counter() - began
    cost.busy = psutil.cpu_percent() / 100
    cost.postgres_cpu_seconds = cpu_seconds(postgres) - before[0]
    cost.program_cpu_seconds = (cpu_seconds(program) if program else 0.0) - before[1]
    cost.wal_bytes = _number(WAL) - wal
    time.sleep(REPORTED_AFTER_SECONDS)
    cost.flushes = max(1, _number(FLUSHES) - flushes)


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and of all that it started, ended ones too."""
    parent = psutil.Process(pid)
    total = 0.0
    for process in [parent, *parent.children(recursive=True)]:
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


@cache
def _postmaster() -> int:
    [(backend,)] = execute("SELECT pg_backend_pid()")
    return psutil.Process(backend).ppid()


def _number(statement: LiteralString) -> int:
    [(found,)] = execute(statement)
    return int(found)
