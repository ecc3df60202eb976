"""Migrations after the first ones: docs/decisions/0080. They let adds through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.postgres.operations import (
    AddIndexConcurrently,
    NotInTransactionMixin,
)
from django.db import OperationalError, connection, models
from django.db.migrations import Migration, RunSQL, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from psycopg import errors

from counters import events, routers
from counters.models import Event, Namespace
from rollups.folding.fold import fold
from rollups.models import Rollup
from tests.factories import open_transaction

# The first operation of a migration, and the last one for the way back.
GIVE_UP_SOON = "SET LOCAL lock_timeout = '100ms'"
FIRST = RunSQL(GIVE_UP_SOON, RunSQL.noop)
LAST = RunSQL(RunSQL.noop, GIVE_UP_SOON)
# Adds wait for these, or the old version's code, which still runs, fails.
REFUSED = (
    operations.AddIndex,
    operations.AddConstraint,
    operations.RemoveField,
    operations.RenameField,
    operations.DeleteModel,
    operations.RenameModel,
    operations.AlterModelTable,
)
DISK = MigrationLoader(None).disk_migrations
LATER = [
    migration
    for (app, name), migration in sorted(DISK.items())
    if app in routers.APPS and name != "0001_initial"
]


def broken_rules(migration: Migration) -> Iterator[str]:
    """Yield what is wrong with a migration that runs beside the old version's code."""
    if not migration.atomic:
        # Broken off half-way, only a single operation can be repeated.
        if [isinstance(one, NotInTransactionMixin) for one in migration.operations] != [
            True
        ]:
            yield "without a transaction, one concurrent operation only"
        return
    first, last = migration.operations[0], migration.operations[-1]
    if not isinstance(first, RunSQL) or first.sql != GIVE_UP_SOON:
        yield f"begin with RunSQL({GIVE_UP_SOON!r}, RunSQL.noop)"
    if not isinstance(last, RunSQL) or last.reverse_sql != GIVE_UP_SOON:
        yield f"end with RunSQL(RunSQL.noop, {GIVE_UP_SOON!r})"
    for one in migration.operations:
        if type(one) in REFUSED:
            yield f"{one.describe()}: see docs/decisions/0080"


class Next(Migration):
    """Changes all tables that adds write; the code of this version knows nothing of it."""

    operations = [
        FIRST,
        *(
            RunSQL(
                f"ALTER TABLE counters_{table} ADD COLUMN remark text DEFAULT ''",
                f"ALTER TABLE counters_{table} DROP COLUMN remark",
            )
            for table in ("event", "lastwrite", "counter")
        ),
        LAST,
    ]


def has_next_schema() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM information_schema.columns WHERE column_name = 'remark'"
            " AND table_name IN ('counters_event', 'counters_lastwrite', 'counters_counter')"
        )
        [count] = cursor.fetchone()
    assert count in {0, 3}
    return bool(count)


def apply(migration: Migration) -> None:
    with connection.schema_editor(atomic=migration.atomic) as editor:
        migration.apply(ProjectState(), editor)


def unapply(migration: Migration) -> None:
    with connection.schema_editor(atomic=migration.atomic) as editor:
        migration.unapply(ProjectState(), editor)


@pytest.fixture
def next_migration(committed_namespace: Namespace) -> Iterator[Migration]:
    migration = Next("9999_next", "counters")
    yield migration
    if has_next_schema():
        unapply(migration)


def test_apps__have_one_initial_migration_each() -> None:
    initial = {app for app, name in DISK if name == "0001_initial"}

    assert initial >= set(routers.APPS)


def test_later_migrations__let_adds_through() -> None:
    broken = {str(one): faults for one in LATER if (faults := [*broken_rules(one)])}

    assert broken == {}


def made_of(*steps: object, atomic: bool = True) -> Migration:
    made = type("Made", (Migration,), {"operations": [*steps], "atomic": atomic})
    migration: Migration = made("9999_next", "counters")
    return migration


INDEX = models.Index(fields=["xid"], name="i")
FIELD = operations.AddField("event", "remark", models.TextField(null=True))
CONCURRENT = AddIndexConcurrently("claim", INDEX)


@pytest.mark.parametrize(
    ("migration", "faults"),
    [
        (made_of(FIRST, FIELD, LAST), 0),
        (made_of(CONCURRENT, atomic=False), 0),
        (made_of(FIELD), 2),
        (made_of(FIRST, FIELD), 1),
        (made_of(FIELD, LAST), 1),
        (made_of(FIRST, operations.AddIndex("event", INDEX), LAST), 1),
        (made_of(FIRST, operations.RemoveField("event", "delta"), LAST), 1),
        (made_of(FIELD, atomic=False), 1),
        (made_of(CONCURRENT, FIELD, atomic=False), 1),
    ],
)
def test_rules__find_what_would_block_adds(migration: Migration, faults: int) -> None:
    assert len(list(broken_rules(migration))) == faults


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("triggers")
def test_next_migration__gives_up_soon_and_lets_adds_through(
    next_migration: Migration,
) -> None:
    """Without a lock_timeout it would wait for the open transaction, and adds for it."""
    events.add(namespace="test", name="hits", token="first")

    with open_transaction("SELECT FROM counters_event LIMIT 1"):
        with pytest.raises(OperationalError) as refused:
            apply(next_migration)
        again = events.add(namespace="test", name="hits", token="first")
    assert isinstance(refused.value.__cause__, errors.LockNotAvailable)
    assert again.duplicate
    assert not has_next_schema()

    apply(next_migration)
    assert has_next_schema()
    with open_transaction("SELECT FROM counters_event LIMIT 1"):
        with pytest.raises(OperationalError):
            unapply(next_migration)
        events.add(namespace="test", name="hits")

    assert Event.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("triggers")
def test_old_code__adds_and_folds_on_a_newer_schema(next_migration: Migration) -> None:
    apply(next_migration)

    hits = events.add(namespace="test", name="hits", delta=3).counter_id
    events.add_many(
        [events.NewEvent("test", "hits", 4, "a"), events.NewEvent("test", "new")]
    )
    fold([hits])

    assert int(Rollup.objects.get(counter_id=hits).total) == 7
