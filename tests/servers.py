"""Starts the servers that the tests run on, before Django reads its settings.

`--servers=embedded` (the default) starts PostgreSQL and Valkey from the wheels in a
temporary directory. `--servers=real` uses servers that run already; where they do not
answer the run ends without an error, except in CI (environment variable CI).

With `--numprocesses` each process starts servers of its own; the one that hands out the tests
needs none.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from kombu import Connection
from kombu.exceptions import OperationalError

from counters_project.embedded.servers import running

REAL_DATABASE_URLS = (
    "postgresql://postgres@127.0.0.1:5432/postgres",
    "postgresql://root@127.0.0.1:5432/postgres",
)
REAL_BROKER_URL = "redis://127.0.0.1:6379/9"
REAL_CACHE_URL = "redis://127.0.0.1:6379/8"
REAL_AMQP_URL = "amqp://guest:guest@127.0.0.1:5672//"
_CONNECT_SECONDS = 2


@dataclass(frozen=True)
class Servers:
    """What this run of the suite uses. RabbitMQ is there with real servers only."""

    kind: str
    database_url: str
    broker_url: str
    cache_url: str
    amqp_url: str | None

    @property
    def broker_urls(self) -> list[str]:
        return [url for url in (self.broker_url, self.amqp_url) if url]


SERVERS = pytest.StashKey[Servers]()
_STARTED = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--servers",
        choices=["embedded", "real"],
        default="embedded",
        help="run on embedded servers (default) or on real ones; see tests/servers.py",
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config,
) -> Generator[None, None, None]:
    # pytest-django loads the settings in its own, unwrapped, hook of this name.
    started = ExitStack()
    early_config.stash[_STARTED] = started
    # A run that is terminated must not leave its servers behind.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        data_dir = Path(tempfile.mkdtemp(prefix="counters-tests-"))
        started.callback(shutil.rmtree, data_dir, ignore_errors=True)
        options = early_config.known_args_namespace
        if options.servers == "real":
            servers = _real_servers(started)
        elif options.numprocesses and "PYTEST_XDIST_WORKER" not in os.environ:
            servers = Servers("embedded", "postgresql:///none", "redis://", "", None)
        else:
            servers = _embedded_servers(started, data_dir)
        early_config.stash[SERVERS] = servers
        os.environ["DATA_DIR"] = str(data_dir)
        # Web servers that tests start refuse to do without one.
        os.environ["SECRET_KEY"] = secrets.token_urlsafe(50)
        os.environ["DATABASE_URL"] = servers.database_url
        os.environ["CELERY_BROKER_URL"] = servers.broker_url
        os.environ["CACHE_URL"] = servers.cache_url
        yield
    except BaseException:
        started.close()
        raise


def pytest_report_header(config: pytest.Config) -> str:
    servers = config.stash[SERVERS]
    brokers = ", ".join(urlsplit(url).scheme for url in servers.broker_urls)
    return f"servers: {servers.kind} (brokers: {brokers})"


def pytest_unconfigure(config: pytest.Config) -> None:
    started = config.stash.get(_STARTED, None)
    if started is not None:
        started.close()


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Servers:
    return pytestconfig.stash[SERVERS]


@pytest.fixture(scope="session")
def broker_urls(servers: Servers) -> list[str]:
    return servers.broker_urls


def _embedded_servers(started: ExitStack, data_dir: Path) -> Servers:
    urls = started.enter_context(running(data_dir / "embedded"))
    return Servers(
        kind="embedded",
        database_url=urls.database_url,
        broker_url=urls.broker_url,
        cache_url=urls.cache_url,
        amqp_url=None,
    )


def _real_servers(started: ExitStack) -> Servers:
    if "PYTEST_XDIST_WORKER" in os.environ:
        raise pytest.UsageError(
            "--servers=real goes without --numprocesses: a real server has one database"
        )
    # The databases on a real server have fixed names: one run at a time.
    lock = started.enter_context(
        (Path(tempfile.gettempdir()) / "counters-tests-real.lock").open("w")
    )
    fcntl.flock(lock, fcntl.LOCK_EX)
    broker_url = os.environ.get("REAL_BROKER_URL", REAL_BROKER_URL)
    try:
        database_url = _first_database_that_answers()
        redis.Redis.from_url(broker_url, socket_connect_timeout=_CONNECT_SECONDS).ping()
    except (psycopg.OperationalError, redis.RedisError) as error:
        _leave(f"No tests on real servers, one does not answer: {error}", started)
    amqp_url: str | None = None
    try:
        asked = os.environ.get("REAL_AMQP_URL", REAL_AMQP_URL)
        with Connection(asked, connect_timeout=_CONNECT_SECONDS) as connection:
            connection.ensure_connection(max_retries=1)
        amqp_url = asked
    except (OperationalError, OSError) as error:
        if _in_ci():
            _leave(f"RabbitMQ does not answer: {error}", started)
    return Servers(
        kind="real",
        database_url=database_url,
        broker_url=broker_url,
        cache_url=os.environ.get("REAL_CACHE_URL", REAL_CACHE_URL),
        amqp_url=amqp_url,
    )


def _first_database_that_answers() -> str:
    """Return the URL of a database of our own on the server; Django prefixes `test_`."""
    asked = os.environ.get("REAL_DATABASE_URL")
    *first, last = (asked,) if asked else REAL_DATABASE_URLS
    for url in first:
        try:
            psycopg.connect(url, connect_timeout=_CONNECT_SECONDS).close()
        except psycopg.OperationalError:
            continue
        return _with_own_database(url)
    psycopg.connect(last, connect_timeout=_CONNECT_SECONDS).close()
    return _with_own_database(last)


def _with_own_database(url: str) -> str:
    return urlsplit(url)._replace(path="/counters").geturl()


def _in_ci() -> bool:
    return bool(os.environ.get("CI"))


def _leave(message: str, started: ExitStack) -> NoReturn:
    """End the run before it began; pytest knows no polite way to at this point."""
    started.close()
    sys.stderr.write(message.strip() + "\n")
    raise SystemExit(1 if _in_ci() else 0)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
