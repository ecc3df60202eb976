"""What a turn takes of the machine: CPU time, WAL, flushes of the WAL."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import LiteralString

import psutil

from benchmarks.meters import cpu_seconds
from benchmarks.scaling.filling import execute

WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
# A backend reports after a statement, unless it has within the last second.
FLUSHES = "SELECT coalesce(sum(fsyncs), 0)::bigint FROM pg_stat_io WHERE object = 'wal'"
REPORTS_AFTER_SECONDS = 1.1
# Beside dozens of writers it takes some tenths of a second until the meters are read, and what
# was taken meanwhile is missed. So they are read while the writers still sleep.
READS_BEFORE_SECONDS = 0.3


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


class Meter:
    """Reads the machine's meters at the begin and the end of a turn."""

    def __init__(self, *, program: int | None = None) -> None:
        """`program` is a process that is counted with all that it started."""
        self._program = program
        self._postgres = _postmaster()
        self._before: tuple[float, ...] = ()

    def begin(self) -> None:
        psutil.cpu_percent()
        self._before = self._read()
        self._flushes = _number(FLUSHES)

    def end(self) -> Cost:
        """Return what was taken since `begin`, but for the flushes."""
        after = self._read()
        seconds, postgres, program, wal_bytes = (
            now - then for now, then in zip(after, self._before, strict=True)
        )
        busy = psutil.cpu_percent() / 100
        return Cost(seconds, postgres, program, int(wal_bytes), busy=busy)

    def flushes(self) -> int:
        """Return the flushes since `begin`, once every backend has reported its own."""
        return max(1, _number(FLUSHES) - self._flushes)

    def _read(self) -> tuple[float, ...]:
        program = cpu_seconds(self._program) if self._program else 0.0
        postgres = cpu_seconds(self._postgres)
        return time.perf_counter(), postgres, program, _number(WAL)


@cache
def _postmaster() -> int:
    [(backend,)] = execute("SELECT pg_backend_pid()")
    return psutil.Process(backend).ppid()


def _number(statement: LiteralString) -> int:
    [(found,)] = execute(statement)
    return int(found)
