"""What is told to end finishes what it has begun: nothing acknowledged is lost."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psycopg
import pytest
import redis

from counters_project.embedded import servers
from tests.faults.databases import PATIENCE_SECONDS, OwnWeb, interrupt
from tests.programs import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.own_brokers, pytest.mark.timeout(300)]


@pytest.fixture
def servers_of_our_own(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[servers.Urls]:
    with servers.running(tmp_path_factory.mktemp("servers")) as urls:
        yield urls


@pytest.fixture
def web(
    servers_of_our_own: servers.Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> OwnWeb:
    monkeypatch.setenv("WEB_WORKERS", "1")
    monkeypatch.setenv("LOCK_TIMEOUT_SECONDS", "30")
    urls = servers_of_our_own
    web = OwnWeb(tmp_path / "web", database=urls.database_url, broker=urls.broker_url)
    web.set_up()
    return web


@contextmanager
def idle_connection(web: OwnWeb) -> Iterator[socket.socket]:
    """A connection that has had its answer, and is kept for the next request."""
    kept = HTTPConnection("127.0.0.1", web.port, timeout=PATIENCE_SECONDS)
    with closing(kept):
        kept.request("GET", "/healthz")
        answer = kept.getresponse()
        answer.read()
        assert not answer.will_close
        yield kept.sock


def test_web__that_is_to_end_answers_the_add_that_it_is_at(
    web: OwnWeb, servers_of_our_own: servers.Urls
) -> None:
    with (
        redis.Redis.from_url(servers_of_our_own.broker_url) as broker,
        web.running() as process,
        psycopg.connect(servers_of_our_own.database_url) as holding,
        ThreadPoolExecutor(1) as client,
    ):
        assert web.add("hits", "first").status_code == 200
        wait_until(lambda: broker.llen("rollups"), "no trigger for the first add")
        broker.delete("rollups")
        # For less than its lock_timeout: what comes next is a few requests' work.
        holding.execute("LOCK TABLE counters_lastwrite IN ACCESS EXCLUSIVE MODE")
        adding = client.submit(web.add, "hits", "second")
        wait_until(lambda: _waits(holding), "the add does not wait")

        with idle_connection(web) as idle:
            interrupt(process)
            # The server's process has been told, and closes what nobody uses.
            assert idle.recv(1) == b""
        assert process.poll() is None
        holding.rollback()

        answer = adding.result(PATIENCE_SECONDS)
        assert process.wait(PATIENCE_SECONDS) == 0

        # Its trigger did not go down with the process.
        assert broker.llen("rollups") == 1

    assert answer.status_code == 200
    with psycopg.connect(servers_of_our_own.database_url) as connection:
        counted = connection.execute("SELECT count(*) FROM counters_event").fetchone()
    assert counted == (2,)
    assert "Traceback" not in web.log.read_text()


def _waits(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    [row] = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return row != (0,)
