"""A PostgreSQL of our own with a web server on it, to be taken away in every way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from counters_project.embedded import postgres
from counters_project.embedded.data_dir import (
    POSTGRES_PORT,
    database_url,
    make_private_dir,
    socket_dir,
)
from counters_project.runner import command_lines, processes
from counters_project.runner.processes import Program
from tests.faults.brokers import free_port
from tests.programs import ROOT, wait_until

# Longer than everything that the service promises; only a hang takes it.
PATIENCE_SECONDS = 60


class OwnPostgres:
    """A cluster as processes of this test run."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.process: subprocess.Popen[bytes] | None = None
        make_private_dir(data_dir)
        postgres.prepare(data_dir)

    @property
    def url(self) -> str:
        return database_url(self.data_dir)

    @property
    def _program(self) -> Program:
        return postgres.program(self.data_dir, log=self.data_dir / "postgres.log")

    def start(self) -> None:
        self.process = process = processes.start(self._program)
        postgres.wait_until_ready(
            self.data_dir, is_running=lambda: processes.reap(process) is None
        )
        postgres.ensure_database(self.data_dir)

    def stop(self) -> None:
        if self.process is not None:
            processes.end(self.process, self._program)
            self.process = None

    def run(self, statement: str) -> Any:
        """Run a statement as the superuser."""
        with psycopg.connect(
            host=str(socket_dir(self.data_dir)),
            port=POSTGRES_PORT,
            user="postgres",
            dbname="counters",
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else None

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nobody listens."""
        self.stop()
        yield
        self.start()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """A black hole: the kernel takes connections and questions, nobody answers."""
        assert self.process is not None
        postmaster = psutil.Process(self.process.pid)
        stopped = [postmaster]
        postmaster.suspend()
        # Stopped, it starts no more of them.
        for backend in postmaster.children(recursive=True):
            backend.suspend()
            stopped.append(backend)
        try:
            yield
        finally:
            for process in stopped:
                process.resume()

    @contextmanager
    def crowded(self) -> Iterator[None]:
        """Every connection that there may be is somebody else's."""
        self.run("ALTER ROLE counters CONNECTION LIMIT 0")
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'counters'"
        )
        yield
        self.run("ALTER ROLE counters CONNECTION LIMIT -1")


class OwnWeb:
    """The service's web server, started as `make run` starts it."""

    def __init__(self, directory: Path, *, database: str, broker: str) -> None:
        self.port = free_port()
        make_private_dir(directory)
        make_private_dir(directory / "logs")
        self.environment = command_lines.Environment(
            data_dir=directory,
            database_url=database,
            broker_url=broker,
            cache_url="",
            allowed_hosts="127.0.0.1",
        )
        self.program = command_lines.web(
            self.environment, bind=f"127.0.0.1:{self.port}"
        )
        self.token = ""

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        process = processes.start(self.program)
        try:
            wait_until(self._answers, f"the web server does not start: {self.log}")
            yield process
        finally:
            processes.end(process, self.program)

    @property
    def log(self) -> Path:
        return self.program.log

    def set_up(self) -> None:
        self.manage("migrate", "--no-input")
        self.token = self.manage("create_demo").strip()

    def manage(self, *words: str) -> str:
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment.variables("command"),
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        ).stdout

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Token {options.pop('token', self.token)}"}
        return httpx.request(
            method,
            f"http://127.0.0.1:{self.port}/{path}",
            headers=headers,
            timeout=PATIENCE_SECONDS,
            **options,
        )

    def add(self, name: str, token: str) -> httpx.Response:
        path = f"api/v1/namespaces/demo/counters/{name}/add"
        return self.ask("POST", path, json={"delta": 1, "token": token})

    def count(self, name: str) -> int:
        path = f"api/v1/namespaces/demo/counters/{name}?accuracy=accurate"
        return int(self.ask("GET", path).json()["count"])

    def _answers(self) -> bool:
        try:
            return self.ask("GET", "healthz").status_code == 200
        except httpx.TransportError:
            return False


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Ask a program to end, as service managers do."""
    os.kill(process.pid, signal.SIGTERM)
