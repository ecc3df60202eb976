"""The tables and the namespace that the benchmarks' runner would make."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from benchmarks.peers import database
from counters.models import Namespace
from counters.namespaces import lookup

TABLES = "plain_plaincounter, bench_slot, bench_log"


@pytest.fixture
def bench_namespace(transactional_db: None) -> None:
    Namespace.objects.create(name="bench")
    lookup.forget_all()


@pytest.fixture
def bench_tables(transactional_db: None) -> Iterator[None]:
    """Take the peers' own tables away again: they belong to no app."""
    yield
    # A client keeps its connection; each test has another one.
    database.bare_cursor().connection.close()
    del database._own.cursor
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {TABLES}")
