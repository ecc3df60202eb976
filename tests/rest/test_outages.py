"""Every call, when the database cannot serve it: 503, when to come back, nothing written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, OperationalError, connection
from django.test import Client
from psycopg_pool import PoolTimeout

from counters.db import errors
from counters.models import Event, Namespace
from counters.namespaces import access, api_tokens, lookup
from tests.rest.conftest import Api, counter, named, problem

# What PostgreSQL says when another time is all that is needed.
OUTAGES = {
    "statement_timeout": "57014",
    "lock_timeout": "55P03",
    "too_many_connections": "53300",
    "admin_shutdown": "57P01",
    "crash_shutdown": "57P02",
    "cannot_connect_now": "57P03",
    "disk_full": "53100",
    "out_of_memory": "53200",
    "read_only": "25006",
    "deadlock": "40P01",
    "serialization_failure": "40001",
    "connection_failure": "08006",
    "io_error": "58030",
}
EVENT = {"namespace": "test", "name": "hits", "delta": 1}
CALLS: dict[str, Callable[[Api], Any]] = {
    "add": lambda api: api.add("hits", {"delta": 1}),
    "add and get": lambda api: api.post(
        f"{counter('hits')}/add?get=accurate", {"delta": 1}
    ),
    "events": lambda api: api.post("events", {"events": [EVENT, EVENT]}),
    "read": lambda api: api.read("hits"),
    "accurate read": lambda api: api.read("hits", "?accuracy=accurate"),
    "clear": lambda api: api.post(f"{counter('hits')}/clear", {}),
    "series": lambda api: api.read("hits/series"),
    "list": lambda api: api.get("namespaces/test/counters"),
    "namespaces": lambda api: api.get("namespaces"),
    "make a namespace": lambda api: api.post("namespaces", {"name": "new"}),
    "namespace": lambda api: api.get("namespaces/test"),
    "change a namespace": lambda api: api.send(
        "PATCH",
        "namespaces/test",
        data=b'{"description": "x"}',
        content_type="application/json",
    ),
}


@contextmanager
def failing(code: str) -> Iterator[None]:
    """Let PostgreSQL refuse every statement with this code."""

    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        raising = f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$"
        return execute(raising, None, False, context)

    with connection.execute_wrapper(refuse):
        yield


@contextmanager
def without_a_connection() -> Iterator[None]:
    """As when every connection of the pool is taken: none comes in time."""

    def fail() -> None:
        raise PoolTimeout("couldn't get a connection after 5.00 sec")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "ensure_connection", fail)
        yield


@pytest.fixture
def remembered(committed_api: Api) -> Api:
    """A client whose token and rights its process knows already."""
    assert committed_api.add("hits", {"delta": 1}).status_code == 200
    return committed_api


def assert_unavailable(response: Any) -> None:
    body = problem(response, 503, "database-unavailable")
    assert "Nothing was acknowledged" in str(body["detail"])
    assert response["Retry-After"] == "1"


@pytest.mark.parametrize("outage", OUTAGES)
def test_add__asks_to_try_again(remembered: Api, outage: str) -> None:
    with failing(OUTAGES[outage]):
        assert_unavailable(remembered.add("hits", {"delta": 1, "token": "again"}))

    again = remembered.add("hits", {"delta": 1, "token": "again"})
    assert again.json()["duplicate"] is False
    assert Event.objects.count() == 2


@pytest.mark.parametrize("outage", ["read_only", "disk_full", "admin_shutdown"])
def test_call__asks_to_try_again(remembered: Api, outage: str) -> None:
    for name, call in CALLS.items():
        with named(name), failing(OUTAGES[outage]):
            assert_unavailable(call(remembered))

    assert Event.objects.count() == 1


def test_call__of_a_database_without_migrations_names_the_command(
    remembered: Api, caplog: pytest.LogCaptureFixture
) -> None:
    for name, call in CALLS.items():
        caplog.clear()
        with named(name):
            with failing("42P01"):
                response = call(remembered)

            body = problem(response, 503, "not-migrated")
            assert "run `manage.py migrate`" in str(body["detail"])
            assert response["Retry-After"] == "1"
            assert any(
                "run `manage.py migrate`" in one.message for one in caplog.records
            )
            assert not any(one.exc_info for one in caplog.records)


def test_call__without_a_free_connection_asks_to_try_again(remembered: Api) -> None:
    for name, call in CALLS.items():
        with named(name), without_a_connection():
            assert_unavailable(call(remembered))


def test_call__whose_token_cannot_be_looked_up_asks_to_try_again(
    remembered: Api,
) -> None:
    """Not 401: the client would throw its token away."""
    for name, call in CALLS.items():
        api_tokens.forget_all()
        access.forget_all()
        lookup.forget_all()

        with named(name), failing(OUTAGES["admin_shutdown"]):
            assert_unavailable(call(remembered))


def test_call__of_a_session_that_cannot_be_looked_up_asks_to_try_again(
    committed_namespace: Namespace,
) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("person"))

    with failing(OUTAGES["admin_shutdown"]):
        assert_unavailable(client.get("/api/v1/namespaces"))
        assert_unavailable(client.get("/admin/"))
        assert_unavailable(
            client.post("/admin/login/", {"username": "person", "password": "x"})
        )


def test_call__that_fails_for_a_reason_of_its_own_is_no_outage(
    remembered: Api,
) -> None:
    with failing("22012"):
        problem(remembered.add("hits", {"delta": 1}), 500, "internal-error")


@pytest.mark.parametrize("outage", OUTAGES)
def test_health__is_told_apart_from_the_database(
    committed_namespace: Namespace, client: Client, outage: str
) -> None:
    with failing(OUTAGES[outage]):
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503
        numbers = client.get("/metrics")

    assert numbers.status_code == 200
    assert b"rollups_database_up 0.0" in numbers.content


def test_health__is_told_apart_from_a_pool_without_connections(
    committed_namespace: Namespace, client: Client
) -> None:
    with without_a_connection():
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503
        assert b"rollups_database_up 0.0" in client.get("/metrics").content


class Pool:
    def __init__(self) -> None:
        self.drained = 0

    def drain(self) -> None:
        self.drained += 1


def raised_by(code: str) -> DatabaseError:
    with (
        pytest.raises(DatabaseError) as raised,
        failing(code),
        connection.cursor() as c,
    ):
        c.execute("SELECT 1")
    return raised.value


@pytest.mark.parametrize(
    ("outage", "drains"),
    [("admin_shutdown", 1), ("connection_failure", 1), ("lock_timeout", 0)],
)
def test_pool__is_emptied_once_where_the_server_went_away(
    committed_namespace: Namespace,
    monkeypatch: pytest.MonkeyPatch,
    outage: str,
    drains: int,
) -> None:
    """A lock that is held is no reason to connect anew."""
    pool, error = Pool(), raised_by(OUTAGES[outage])
    monkeypatch.setattr(errors, "_drained_at", -10.0)
    monkeypatch.setattr(type(connection), "pool", pool, raising=False)

    for _ in range(5):
        errors.drop_broken_connections(error)

    assert pool.drained == drains


def test_pool__is_left_alone_when_no_connection_was_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, error = Pool(), OperationalError("couldn't get a connection")
    error.__cause__ = PoolTimeout("couldn't get a connection")
    monkeypatch.setattr(errors, "_drained_at", -10.0)
    monkeypatch.setattr(type(connection), "pool", pool, raising=False)

    errors.drop_broken_connections(error)

    assert pool.drained == 0
