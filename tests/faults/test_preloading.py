"""A web server that loads the application before it forks serves like any other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import redis

from counters_project.embedded import servers
from tests.faults.databases import OwnWeb
from tests.programs import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.own_brokers, pytest.mark.timeout(300)]

CLIENTS = 8
ROUNDS = 6


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Urls]:
    with servers.running(tmp_path_factory.mktemp("servers")) as urls:
        yield urls


@pytest.mark.parametrize(
    "application",
    [
        "counters_project.wsgi:application",
        # Whatever a project does before the fork, its children work.
        "tests.faults.opened_at_load:application",
    ],
)
def test_preloaded__answers_each_client_and_loses_nothing(
    urls: servers.Urls, tmp_path: Path, application: str
) -> None:
    web = OwnWeb(tmp_path / "web", database=urls.database_url, broker=urls.broker_url)
    web.environment = replace(web.environment, cache_url=urls.cache_url)
    web.set_up()
    argv = [
        application if word == "counters_project.wsgi:application" else word
        for word in web.program.argv
    ]
    argv += ["--preload", "--workers", "2", "--threads", "4", "--keep-alive", "0"]
    web.program = replace(
        web.program,
        argv=tuple(argv),
        env=web.environment.variables("web") | {"WEB_THREADS": "4"},
    )

    def use(client: int) -> None:
        name = f"{tmp_path.name}-{client}"
        for done in range(1, ROUNDS + 1):
            token = f"{name}-{done}"
            added = web.add(name, token)
            assert (added.status_code, added.json()["token"]) == (200, token)
            path = f"api/v1/namespaces/demo/counters/{name}?accuracy=accurate"
            read = web.ask("GET", path)
            assert read.status_code == 200
            assert (read.json()["name"], read.json()["count"]) == (name, done)
            listed = web.ask("GET", "api/v1/namespaces")
            assert listed.status_code == 200
            assert [each["name"] for each in listed.json()["results"]] == ["demo"]

    with (
        redis.Redis.from_url(urls.broker_url) as broker,
        psycopg.connect(urls.database_url, autocommit=True) as database,
    ):
        broker.delete("rollups")
        database.execute("TRUNCATE rollups_process")
        with web.running(), ThreadPoolExecutor(CLIENTS) as clients:
            for result in [clients.submit(use, client) for client in range(CLIENTS)]:
                result.result()

            def reported() -> int:
                found = database.execute(
                    "SELECT count(*) FROM rollups_process WHERE role = 'web'"
                ).fetchone()
                return found[0] if found else 0

            # Each process serves, and has its heartbeat and its publisher.
            wait_until(lambda: reported() == 2, "a process does not report")
            wait_until(lambda: broker.llen("rollups") >= 2, "no triggers")

    log = web.log.read_text()
    assert "Traceback" not in log, log
