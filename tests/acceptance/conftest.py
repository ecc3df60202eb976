"""The whole service, started as `make run` starts it, in a directory of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

BASE_DIR = Path(__file__).resolve().parent.parent.parent
# Set by tests/servers.py for this process; the service must start servers of its own.
_OF_THE_SUITE = ("DATABASE_URL", "CELERY_BROKER_URL", "CACHE_URL", "SECRET_KEY")


def wait_until(claim: Callable[[], Any], *, within_seconds: float = 60) -> Any:
    """Return the claim's value once it is true."""
    deadline = time.monotonic() + within_seconds
    while not (value := claim()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return value


def is_gone(process: psutil.Process) -> bool:
    """Tell whether the process has ended; somebody else may have to collect it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Service:
    """A service that can be started, looked at and ended in every way."""

    def __init__(self, directory: Path, port: int) -> None:
        self.data_dir = directory / "data"
        self.port = port
        self.output = directory / "output"
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def supervisor(self) -> subprocess.Popen[bytes]:
        assert self._supervisor is not None
        return self._supervisor

    @property
    def run_file(self) -> Path:
        return self.data_dir / "run.json"

    @property
    def described(self) -> dict[str, Any]:
        described: dict[str, Any] = json.loads(self.run_file.read_text())
        return described

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in _OF_THE_SUITE}
        return kept | {"DATA_DIR": str(self.data_dir), "PORT": str(self.port)}

    def start(self) -> subprocess.Popen[bytes]:
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "counters_project.runner"],
                cwd=BASE_DIR,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ensure_running(self) -> None:
        if self._supervisor is not None and self._supervisor.poll() is None:
            return
        self.run_file.unlink(missing_ok=True)
        self._supervisor = self.start()
        wait_until(lambda: self.run_file.exists() or self.supervisor.poll() is not None)
        assert self.run_file.exists(), self.output.read_text()

    def stop(self) -> None:
        if self._supervisor is not None and self._supervisor.poll() is None:
            self._supervisor.send_signal(signal.SIGINT)
            self._supervisor.wait(60)

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.supervisor.pid).children(recursive=True)

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Call the API as a client with patience does: what did not answer, again."""
        described = self.described
        url = f"{described['url']}/api/v1/namespaces/demo/counters/{path}"
        headers = {"Authorization": f"Token {described['token']}"}

        def answer() -> httpx.Response | None:
            with suppress(httpx.TransportError):
                response = httpx.request(method, url, headers=headers, **options)
                return response if response.status_code != 503 else None
            return None

        response = wait_until(answer)
        response.raise_for_status()
        return response.json()

    def add(self, name: str, delta: int) -> None:
        # The token makes it safe to ask again when the answer was lost.
        self.call("POST", f"{name}/add", json={"delta": delta, "token": str(uuid4())})

    def count(self, name: str, accuracy: str) -> int:
        counter = self.call("GET", name, params={"accuracy": accuracy})
        return int(counter["count"])


@contextmanager
def service_in(directory: Path) -> Iterator[Service]:
    service = Service(directory, free_port())
    yield service
    service.stop()


@pytest.fixture(scope="package")
def started_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_in(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def service(started_service: Service) -> Service:
    """The one service of these tests; it runs, whatever the test before did to it."""
    started_service.ensure_running()
    return started_service


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
