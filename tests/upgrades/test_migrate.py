"""`manage.py migrate` under load: no add fails, and none queues behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations import Migration
from pytest_django import Settings

from counters import events
from counters.db import lock_retry
from counters.models import Event, Namespace
from rollups.folding.fold import fold
from rollups.models import Rollup
from tests.beside import open_transaction
from tests.conftest import Threads
from tests.races.waiting import (
    TIMEOUT_SECONDS,
    wait_until_somebody_waits_for_a_lock,
)
from tests.upgrades.rules import newest

pytestmark = pytest.mark.django_db(transaction=True)

ADDS = 50
# While a transaction that has read events is open, no DDL gets its lock.
READ = "SELECT FROM counters_event LIMIT 1"


def migrate(*words: str) -> str:
    out = StringIO()
    call_command("migrate", "counters", *words, stdout=out)
    return out.getvalue()


def has_next_schema() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM information_schema.columns"
            " WHERE table_name = 'counters_event' AND column_name = 'remark'"
        )
        return bool(cursor.fetchone()[0])


@pytest.fixture
def next_version(settings: Settings, committed_namespace: Namespace) -> Iterator[None]:
    """A migration is there that is not applied."""
    settings.MIGRATION_MODULES = {"counters": "tests.upgrades.next_version.migrations"}
    yield
    migrate(newest("counters"))


@contextmanager
def lock_timeout(value: str) -> Iterator[None]:
    """What services have; commands, such as this test, have none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [value])
        yield
        cursor.execute("RESET lock_timeout")


@pytest.mark.usefixtures("next_version", "triggers")
def test_migrate__lets_adds_through_while_it_waits_for_its_lock(
    threads: Threads,
) -> None:
    events.add(namespace="test", name="hits")

    with open_transaction(READ), lock_timeout("5s"):
        migrating = threads.submit(migrate)
        wait_until_somebody_waits_for_a_lock()
        for _ in range(ADDS):
            events.add(namespace="test", name="hits")
        assert not migrating.done()

    assert "trying again" in migrating.result(TIMEOUT_SECONDS)
    assert has_next_schema()
    assert Event.objects.count() == ADDS + 1


@pytest.mark.usefixtures("next_version", "triggers")
def test_migrate__gives_up_with_the_name_of_who_is_in_its_way() -> None:
    with (
        open_transaction(READ),
        lock_timeout("7s"),
        pytest.raises(CommandError, match=r"process \d+ \(counters-command\), open"),
    ):
        migrate("--lock-patience", "0")

    assert not has_next_schema()
    with lock_timeout("7s"), connection.cursor() as cursor:
        migrate()
        # The caller's connection is as it was.
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("7s",)


@pytest.mark.usefixtures("next_version")
def test_migrate__waits_with_a_concurrent_index_as_long_as_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CONCURRENTLY waits for old transactions; broken off, it leaves a broken index."""
    seen: list[tuple[bool, str]] = []

    def note(migration: Migration, state: object, *_: object, **__: object) -> object:
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            seen.append((migration.atomic, cursor.fetchone()[0]))
        return state

    monkeypatch.setattr(Migration, "apply", note)
    monkeypatch.setattr(Migration, "unapply", note)

    migrate("9998_next_lastwrite")
    monkeypatch.setattr(Migration, "atomic", False)
    migrate("9999_next_counter")
    migrate(newest("counters"))

    assert seen == [(True, lock_retry.PATIENCE)] * 2 + [(False, "0")] * 4


@pytest.mark.usefixtures("next_version", "triggers")
def test_old_code__adds_and_folds_on_a_newer_schema() -> None:
    migrate()

    hits = events.add(namespace="test", name="hits", delta=3).counter_id
    events.add_many(
        [events.NewEvent("test", "hits", 4, "a"), events.NewEvent("test", "new")]
    )
    fold([hits])

    assert int(Rollup.objects.get(counter_id=hits).total) == 7
