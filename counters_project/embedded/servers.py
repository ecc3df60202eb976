"""Run both embedded servers during a `with` block, for tests and benchmarks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from counters_project.embedded import postgres, valkey
from counters_project.embedded.data_dir import database_url, make_private_dir
from counters_project.runner import processes


@dataclass(frozen=True)
class Urls:
    """The URLs of the running servers."""

    database_url: str
    broker_url: str
    cache_url: str


@contextmanager
def running(data_dir: Path) -> Iterator[Urls]:
    """Start both servers, wait until they answer, and stop them on leaving."""
    make_private_dir(data_dir)
    postgres.prepare(data_dir)
    valkey.prepare(data_dir)
    with ExitStack() as stack:
        running = {
            program.name: stack.enter_context(_started(program))
            for program in (
                postgres.program(data_dir, log=data_dir / "postgres.log"),
                valkey.program(data_dir, log=data_dir / "valkey.log"),
            )
        }
        valkey.wait_until_ready(
            data_dir, is_running=lambda: processes.reap(running["valkey"]) is None
        )
        postgres.wait_until_ready(
            data_dir, is_running=lambda: processes.reap(running["postgres"]) is None
        )
        postgres.ensure_database(data_dir)
        yield Urls(
            database_url(data_dir),
            valkey.broker_url(data_dir),
            valkey.cache_url(data_dir),
        )


@contextmanager
def _started(program: processes.Program) -> Iterator[subprocess.Popen[bytes]]:
    process = processes.start(program)
    try:
        yield process
    finally:
        processes.end(process, program)
