"""A real web server whose PostgreSQL goes away: it answers, and is well when that is back.

`tests/rest/test_outages.py` goes through every call and every error, without a server.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.faults.databases import OwnPostgres, OwnWeb
from tests.programs import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.own_brokers, pytest.mark.timeout(300)]

COUNTER = "api/v1/namespaces/demo/counters/hits"
EVENTS = {"events": [{"namespace": "demo", "name": "hits", "delta": 1}]}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
    database = OwnPostgres(tmp_path_factory.mktemp("database"))
    database.start()
    yield database
    database.stop()


@pytest.fixture(scope="module")
def web(
    database: OwnPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OwnWeb]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATEMENT_TIMEOUT_SECONDS", "1")
        patch.setenv("WEB_WORKERS", "1")
        patch.setenv("WEB_THREADS", "12")
        directory: Path = tmp_path_factory.mktemp("web") / "data"
        web = OwnWeb(directory, database=database.url, broker="redis://127.0.0.1:1/0")
        web.set_up()
        with web.running():
            yield web


def ask_everything(web: OwnWeb) -> dict[str, httpx.Response]:
    """Ask all at once: each may take as long as a time-out."""
    asked: dict[str, tuple[str, str, dict[str, Any]]] = {
        "add": ("POST", f"{COUNTER}/add", {"json": {"delta": 1, "token": "unknown"}}),
        "events": ("POST", "api/v1/events", {"json": EVENTS}),
        "read": ("GET", COUNTER, {}),
        "accurate": ("GET", f"{COUNTER}?accuracy=accurate", {}),
        "list": ("GET", "api/v1/namespaces/demo/counters", {}),
        "token": ("GET", COUNTER, {"token": "f" * 64}),
        "healthz": ("GET", "healthz", {}),
        "readyz": ("GET", "readyz", {}),
        "metrics": ("GET", "metrics", {}),
    }
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = {
            name: pool.submit(web.ask, method, path, **options)
            for name, (method, path, options) in asked.items()
        }
        return {name: answer.result() for name, answer in answers.items()}


@pytest.mark.parametrize("outage", ["down", "silent", "crowded"])
def test_web__answers_while_its_database_is_away(
    database: OwnPostgres, web: OwnWeb, outage: str
) -> None:
    name = f"hits-{outage}"
    # More than one connection is in the pool when it happens.
    with ThreadPoolExecutor(4) as pool:
        first = list(pool.map(lambda n: web.add(name, f"{n}").status_code, range(8)))
    token = str(uuid4())

    with getattr(database, outage)():
        during = web.add(name, token)
        answers = ask_everything(web)

    assert first == [200] * 8
    for what, status in {"healthz": 200, "readyz": 503, "metrics": 200}.items():
        assert answers.pop(what).status_code == status, what
    for what, answer in {**answers, "first": during}.items():
        assert answer.status_code == 503, (what, answer.text)
        assert answer.headers["Retry-After"] == "1", what
    wait_until(
        lambda: web.add(name, token).status_code == 200, "not well with the database"
    )
    assert web.count(name) == 9
