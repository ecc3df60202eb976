"""Where the service of this machine keeps its data and where it answers."""

from __future__ import annotations

import http.client
import os
import socket
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from counters_project import env

BASE_DIR = Path(__file__).resolve().parent.parent
_ALL_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class CannotStartError(Exception):
    """The service cannot start; the message says why and what to do."""


@dataclass(frozen=True)
class Place:
    """Where this service keeps its data and where it answers."""

    data_dir: Path
    host: str
    port: int

    @property
    def reachable_host(self) -> str:
        return _ALL_ADDRESSES.get(self.host, self.host)

    @property
    def host_in_url(self) -> str:
        return _bracketed(self.reachable_host)

    @property
    def url(self) -> str:
        return f"http://{self.host_in_url}:{self.port}"

    @property
    def bind(self) -> str:
        return f"{_bracketed(self.host)}:{self.port}"


def read_place() -> Place:
    """Read PORT (8000), HOST (127.0.0.1) and DATA_DIR (.local) from the environment."""
    # PORT: where `make run` serves.
    # HOST: the address to listen on; 0.0.0.0 means all addresses.
    port = env.integer("PORT", 8000, at_least=1)
    if port > 65535:
        raise ImproperlyConfigured(f"PORT={port} is too large; the most is 65535.")
    # Refused before any server is started.
    env.hosts("ALLOWED_HOSTS", "")
    env.cache_url("CACHE_URL", "")
    for name in ("WEB_WORKERS", "WEB_THREADS", "WORKER_CONCURRENCY"):
        env.integer(name, 1, at_least=1)
    data_dir = Path(env.text("DATA_DIR", str(BASE_DIR / ".local"))).resolve()
    return Place(data_dir=data_dir, host=env.text("HOST", "127.0.0.1"), port=port)


def check_port(place: Place) -> None:
    """Raise CannotStartError where another program has the port."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            place.host, place.port, type=socket.SOCK_STREAM
        )[0]
    except (OSError, UnicodeError) as error:
        raise CannotStartError(
            f"HOST={place.host!r} is not an address of this machine: {error}. Set it to"
            " 127.0.0.1, or to 0.0.0.0 to listen on all addresses."
        ) from error
    with socket.socket(family, kind) as probe:
        # As the web server does: connections that still close do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise CannotStartError(
                f"Port {place.port} on {place.host} cannot be used:"
                f" {os.strerror(error.errno or 0)}. Stop the program that has it, or"
                f" choose another port: PORT={place.port + 1} make run"
            ) from error


def ask_ready(place: Place) -> int | str:
    """Return the status of /readyz, or what went wrong. No proxy is asked."""
    connection = http.client.HTTPConnection(place.reachable_host, place.port, timeout=5)
    with closing(connection):
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"with {error!r}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
