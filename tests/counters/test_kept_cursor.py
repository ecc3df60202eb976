"""Hot statements use a cursor that the driver's connection keeps."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.signals import connection_created
from django.test.utils import CaptureQueriesContext

from counters import events
from counters.db.statements import fetch_row
from counters.models import Namespace
from rollups import counts


def add(namespace: Namespace) -> None:
    events.add(namespace=namespace.name, name="hits")


def kept() -> Any:
    return getattr(connection.connection, "counters_cursor", None)


def test_cursor__is_kept_from_one_add_to_the_next(
    committed_namespace: Namespace,
) -> None:
    add(committed_namespace)
    first = kept()

    add(committed_namespace)

    assert first is not None
    assert kept() is first


def test_cursor__is_another_on_another_connection(
    committed_namespace: Namespace,
) -> None:
    add(committed_namespace)
    first = kept()
    connection.close()

    add(committed_namespace)

    assert kept() is not None
    assert kept() is not first
    assert kept().connection is connection.connection


def test_cursor__is_not_kept_where_threads_share_the_connection(
    committed_namespace: Namespace,
) -> None:
    connection.inc_thread_sharing()
    try:
        add(committed_namespace)
    finally:
        connection.dec_thread_sharing()

    assert kept() is None


def test_statement__is_seen_by_whoever_watches(committed_namespace: Namespace) -> None:
    seen = []

    def watch(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    add(committed_namespace)
    with connection.execute_wrapper(watch):
        add(committed_namespace)
    with CaptureQueriesContext(connection) as queries:
        add(committed_namespace)

    assert len(seen) == len(queries) == 1


def test_statement__that_makes_the_connection_is_seen_too(
    committed_namespace: Namespace,
) -> None:
    """Tools that trace statements begin when `connection_created` is sent."""
    seen = []

    def watch(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    def begin(*, connection: Any, **_: Any) -> None:
        connection.execute_wrappers.append(watch)

    add(committed_namespace)
    connection.close()
    connection_created.connect(begin)
    try:
        add(committed_namespace)
    finally:
        connection_created.disconnect(begin)
        connection.execute_wrappers.remove(watch)

    assert len(seen) == 1


def test_cursor__reads_what_any_other_reads(committed_namespace: Namespace) -> None:
    events.add(namespace="test", name="hits", delta=-(2**63))
    events.add(namespace="test", name="hits", delta=-5)
    counter = {"namespace": "test", "name": "hits", "accuracy": "accurate"}

    by_the_kept = counts.get(**counter)
    with CaptureQueriesContext(connection):
        by_another = counts.get(**counter)

    assert kept() is not None
    assert by_the_kept.count == by_another.count == -(2**63) - 5
    assert by_the_kept.last_write_at == by_another.last_write_at
    assert by_the_kept.as_of.utcoffset() == by_another.as_of.utcoffset() == timedelta(0)


def test_cursor__is_good_after_an_error(committed_namespace: Namespace) -> None:
    add(committed_namespace)
    with pytest.raises(psycopg.errors.DivisionByZero):
        kept().execute("SELECT 1 / 0")

    add(committed_namespace)


def test_cursor__is_not_kept_by_a_backend_that_is_not_djangos_own(db: None) -> None:
    """Another backend may act on each new cursor, for example set a tenant's schema."""
    made = []

    class Tenants(DatabaseWrapper):
        def _cursor(self, name: str | None = None) -> Any:
            made.append(name)
            return super()._cursor(name)  # type: ignore[misc]

    with closing(Tenants(connection.settings_dict, "default")) as tenants:
        for _ in range(3):
            fetch_row(tenants, "rollups", "measure_lag_spread", ())

    assert len(made) == 3
