"""The address and data directory of `make run`, and run.json, its description."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import socket
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypedDict
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from counters_project import env
from counters_project.embedded.data_dir import write_private

BASE_DIR = Path(__file__).resolve().parent.parent.parent
_ALL_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class CannotStartError(Exception):
    """The service cannot start; the message says why and what to do."""


@dataclass(frozen=True)
class RunConfig:
    """The data directory and the address of this service."""

    data_dir: Path
    host: str
    port: int

    @property
    def host_in_url(self) -> str:
        return _bracketed(_ALL_ADDRESSES.get(self.host, self.host))

    @property
    def url(self) -> str:
        return f"http://{self.host_in_url}:{self.port}"

    @property
    def bind(self) -> str:
        return f"{_bracketed(self.host)}:{self.port}"


def read_config() -> RunConfig:
    """Read PORT (8000), HOST (127.0.0.1) and DATA_DIR (.local) from the environment."""
    # PORT: the port of `make run`.
    # HOST: the address to listen on; 0.0.0.0 means all addresses.
    port = env.integer("PORT", 8000, at_least=1)
    if port > 65535:
        raise ImproperlyConfigured(f"PORT={port} is too large. Use 65535 or less.")
    # Check these before any server starts.
    env.hosts("ALLOWED_HOSTS", "")
    env.cache_url("CACHE_URL", "")
    for name in ("WEB_WORKERS", "WEB_THREADS", "WORKER_CONCURRENCY"):
        env.integer(name, 1, at_least=1)
    data_dir = Path(env.text("DATA_DIR", str(BASE_DIR / ".local"))).resolve()
    return RunConfig(data_dir=data_dir, host=env.text("HOST", "127.0.0.1"), port=port)


def check_port(config: RunConfig) -> None:
    """Raise CannotStartError if another program uses the port."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM
        )[0]
    except (OSError, UnicodeError) as error:
        raise CannotStartError(
            f"HOST={config.host!r} is not an address of this machine: {error}. Set it to"
            " 127.0.0.1, or to 0.0.0.0 to listen on all addresses."
        ) from error
    with socket.socket(family, kind) as probe:
        # Like the web server, ignore connections that are still closing.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise CannotStartError(
                f"Port {config.port} on {config.host} cannot be used:"
                f" {os.strerror(error.errno or 0)}. Stop the program that uses it, or"
                f" choose another port: PORT={config.port + 1} make run"
            ) from error


def ask_ready(url: str) -> int | str:
    """Return the status of /readyz, or the error as text; ignore proxy settings."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    with closing(connection):
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"with {error!r}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class RunRecord(TypedDict):
    """The content of `run.json` while the service is ready."""

    url: str
    token: str
    database_url: str
    broker_url: str
    cache_url: str
    pids: dict[str, int]


def write_run_record(data_dir: Path, described: RunRecord) -> None:
    """Write run.json, readable by its owner only."""
    write_private(_run_json(data_dir), json.dumps(described, indent=2) + "\n")


def read_run_record(data_dir: Path) -> RunRecord | None:
    """Return run.json, or None while the service starts or stops."""
    try:
        described: RunRecord = json.loads(_run_json(data_dir).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return described


def remove_run_record(data_dir: Path) -> None:
    """Remove run.json when the service is no longer ready."""
    _run_json(data_dir).unlink(missing_ok=True)


def lock_data_dir(data_dir: Path) -> IO[str] | None:
    """Lock the data directory until the file is closed; return None if it is locked.

    The kernel releases the lock when the process ends, even by SIGKILL.
    """
    lock = os.fdopen(os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _run_json(data_dir: Path) -> Path:
    return data_dir / "run.json"
