"""The key of the events gets another order of columns, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from psycopg import errors

from counters import events
from counters.models import Event, Namespace
from counters.partitions import create
from tests.beside import open_transaction
from tests.upgrades.rules import newest

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]

BEFORE, BUILT, SWAPPED = "0004", "0005", "0006"
# As one that has written an event.
WRITE = "LOCK TABLE counters_event_default IN ROW EXCLUSIVE MODE"
OLD, NEW = ["counter_id", "token", "event_time"], ["token", "counter_id", "event_time"]


def migrate(to: str) -> None:
    call_command("migrate", "counters", to, verbosity=0)


@pytest.fixture
def old_schema(committed_namespace: Namespace) -> Iterator[None]:
    migrate(BEFORE)
    yield
    migrate(newest("counters"))


def query(statement: str, *parameters: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def keys() -> dict[str, list[str]]:
    """The columns of each partition's key, and the parent's."""
    rows: Any = query(
        "SELECT indrelid::regclass::text, array_agg(attname ORDER BY attnum)"
        " FROM pg_index JOIN pg_attribute ON attrelid = indexrelid"
        " WHERE indisprimary AND indisvalid AND indrelid::regclass::text ~ '^counters_event'"
        " GROUP BY 1"
    )
    return dict(rows)


def unfinished() -> list[tuple[object, ...]]:
    return query("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")


def files_of(suffix: str) -> set[object]:
    """The files of the partitions' indexes with names that end so."""
    return {
        file
        for (file,) in query(
            "SELECT relfilenode FROM pg_class WHERE relkind = 'i' AND relname ~ %s",
            f"^counters_event_.*{suffix}$",
        )
    }


@pytest.mark.usefixtures("old_schema")
def test_event_key__is_swapped_for_what_was_built_beside_it() -> None:
    first = events.add(namespace="test", name="hits")
    tables = set(keys())
    assert set(map(tuple, keys().values())) == {tuple(OLD)}

    migrate(BUILT)
    built = files_of("_by_token")
    migrate(SWAPPED)

    assert keys() == dict.fromkeys(tables, NEW)
    # No index was built while adds were locked out.
    assert files_of("_pkey") == built
    again = events.add(namespace="test", name="hits", token=first.token)
    assert again.duplicate


@pytest.mark.usefixtures("old_schema")
def test_event_key__of_a_partition_that_was_made_in_between() -> None:
    migrate(BUILT)
    later = datetime.now(UTC) + timedelta(days=40)
    [made] = create.make(later, later)

    migrate(SWAPPED)

    assert keys()[made.name] == NEW


@pytest.mark.usefixtures("old_schema")
def test_event_key__is_built_anew_where_that_was_broken_off() -> None:
    events.add(namespace="test", name="hits")
    query("SELECT set_config('statement_timeout', '300ms', false)")
    with open_transaction(WRITE), pytest.raises(OperationalError) as broken_off:
        migrate(BUILT)
    assert isinstance(broken_off.value.__cause__, errors.QueryCanceled)
    assert unfinished()
    query("SELECT set_config('statement_timeout', '0', false)")

    migrate(SWAPPED)

    assert not unfinished()
    assert set(map(tuple, keys().values())) == {tuple(NEW)}
    assert Event.objects.count() == 1


@pytest.mark.usefixtures("old_schema")
def test_event_key__goes_back() -> None:
    migrate(SWAPPED)
    migrate(BEFORE)

    assert set(map(tuple, keys().values())) == {tuple(OLD)}
    assert not files_of("_by_token")
