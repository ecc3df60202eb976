"""A counter's first add inside a transaction creates the counter outside of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections, transaction

from counters import events
from counters.db.timeouts import BoundedConnection
from counters.models import Counter, Event, Namespace
from tests.conftest import Threads
from tests.programs import ROOT, TIMEOUT_SECONDS

THREADS = 6


@pytest.fixture
def pool(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """The default database's pool, of as many connections as there are threads."""
    settings = connections.settings["default"]
    connections.close_all()
    with monkeypatch.context() as patched:
        patched.setitem(settings, "CONN_MAX_AGE", 0)
        options = {"min_size": THREADS, "max_size": THREADS, "timeout": 20}
        patched.setitem(settings["OPTIONS"], "pool", options)
        wrapper: Any = connection
        yield wrapper.pool
        connections.close_all()
        wrapper.close_pool()


@pytest.mark.parametrize("name", ["hot", "new {}"], ids=["one name", "own names"])
@pytest.mark.race
def test_first_adds__at_once_in_transactions_take_one_connection_of_their_pool_each(
    pool: Any, threads: Threads, name: str
) -> None:
    together = Barrier(THREADS, timeout=60)

    def first_add(number: int) -> None:
        with transaction.atomic():
            # Like a request with ATOMIC_REQUESTS: it holds its connection from now on.
            Namespace.objects.count()
            together.wait()
            events.add(namespace="test", name=name.format(number))
            # No commit releases another thread: a thread that waits breaks the barrier.
            together.wait()

    list(threads.map(first_add, range(THREADS)))

    # One connection each: nobody asked for another.
    assert pool.get_stats()["requests_num"] == THREADS
    assert Event.objects.count() == THREADS


def test_first_add__makes_nobody_wait_until_its_transaction_ends(
    committed_namespace: Namespace, threads: Threads
) -> None:
    with transaction.atomic():
        events.add(namespace="test", name="hits")
        threads.submit(events.add, namespace="test", name="hits").result(30)

    assert Event.objects.count() == 2


def test_first_add__without_a_connection_to_be_had_creates_in_its_own_transaction(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = connection.get_connection_params() | {"port": 1}
    monkeypatch.setattr(
        type(connections["default"]), "get_connection_params", lambda _: parameters
    )

    with transaction.atomic():
        events.add(namespace="test", name="hits")
        transaction.set_rollback(True)

    assert not Counter.objects.exists()


def test_first_add__creates_in_the_schema_of_its_caller(
    committed_namespace: Namespace,
) -> None:
    """A project with a schema for each tenant sets search_path after it connected."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA tenant")
        cursor.execute(
            "CREATE TABLE tenant.counters_counter"
            " (LIKE public.counters_counter INCLUDING ALL)"
        )
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL search_path = tenant, public")
            events.add(namespace="test", name="hits")
            transaction.set_rollback(True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT name FROM tenant.counters_counter")
            in_tenant = cursor.fetchall()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA tenant CASCADE")

    assert in_tenant == [("hits",)]
    assert not Counter.objects.exists()


def test_first_add__leaves_nothing_set_in_its_creating_session(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind PgBouncer another client gets that session next."""
    names = ("lock_timeout", "search_path", "role", "transaction_isolation")
    show = "SELECT " + ", ".join(f"current_setting('{name}')" for name in names)
    left = []
    close = BoundedConnection.close

    def look_and_close(apart: BoundedConnection) -> None:
        left.append(apart.execute(show).fetchone())
        close(apart)

    monkeypatch.setattr(BoundedConnection, "close", look_and_close)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL search_path = public, pg_temp")
        events.add(namespace="test", name="hits")

    with connection.cursor() as cursor:
        cursor.execute(show)
        assert left == [cursor.fetchone()]


def test_fork__while_a_thread_creates_leaves_the_child_free_to_create() -> None:
    script = """
import os, django
django.setup()
from counters.recording import new_counters
assert new_counters._ONE_AT_A_TIME.acquire()
if (child := os.fork()) == 0:
    os._exit(new_counters._ONE_AT_A_TIME.locked())
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ,
        check=True,
        timeout=TIMEOUT_SECONDS,
    )
