"""What a turn costs: CPU seconds of each kind of process, and bytes of WAL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psutil
import redis
from django.conf import settings
from django.db import connection


@dataclass(slots=True)
class Cost:
    """CPU seconds by kind of process, and bytes of WAL, of one turn."""

    cpu_seconds: dict[str, float] = field(default_factory=dict)
    wal_bytes: int = 0


@contextmanager
def measured(programs: Mapping[str, int], *, into: Cost) -> Iterator[None]:
    """Write what the block costs into `into`.

    `programs` are kinds of process and the process id of each one's parent; its children,
    those that have ended too, are counted with it.
    """
    before, wal = (
        {kind: cpu_seconds(pid) for kind, pid in programs.items()},
        wal_position(),
    )
    yield
    into.wal_bytes = wal_position() - wal
    into.cpu_seconds = {
        kind: cpu_seconds(pid) - before[kind] for kind, pid in programs.items()
    }


def servers() -> dict[str, int]:
    """Return the process ids of PostgreSQL and the cache, where they run on this machine."""
    found: dict[str, int] = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [(backend,)] = cursor.fetchall()
    if psutil.pid_exists(backend) and (parent := psutil.Process(backend).parent()):
        found["PostgreSQL"] = parent.pid
    url = settings.CACHES["default"]["LOCATION"]
    if urlsplit(url).hostname in {"127.0.0.1", "localhost"}:
        with redis.Redis.from_url(url) as client:
            found["Valkey"] = int(client.info("server")["process_id"])
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and of all that it started, ended ones too."""
    parent = psutil.Process(pid)
    total = 0.0
    for process in [parent, *parent.children(recursive=True)]:
        try:
            # The times of children are of those that have been waited for.
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def wal_position() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
        )
        [(position,)] = cursor.fetchall()
    return int(position)
