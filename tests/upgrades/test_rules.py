"""Migrations that would make adds wait, or fail beside old code, are refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
)
from django.db import models
from django.db.migrations import Migration, RunPython, RunSQL
from django.db.migrations import operations as ops
from django.db.migrations.loader import MigrationLoader
from django.db.models.functions import Now, Random

from tests.upgrades.rules import EXEMPT, OURS, broken_rules, newest

LOADER = MigrationLoader(None)
MIGRATIONS = [key for key in sorted(LOADER.disk_migrations) if key[0] in OURS]
INDEX = models.Index(fields=["xid"], name="i")
CHECK = models.CheckConstraint(condition=models.Q(delta__gt=0), name="c")
SAME = models.BigIntegerField()


@pytest.mark.parametrize("key", MIGRATIONS, ids=".".join)
def test_migration__keeps_the_rules_of_upgrades(key: tuple[str, str]) -> None:
    broken = list(
        broken_rules(
            LOADER.get_migration(*key), LOADER.project_state(key, at_end=False)
        )
    )

    # An exemption that is not needed is taken out.
    assert bool(broken) is (key in EXEMPT), broken


def broken_by(*operations: Any, app: str = "counters", **attributes: Any) -> list[str]:
    kind: Any = type("Next", (Migration,), attributes)
    migration = kind("9999_next", app)
    migration.operations = list(operations)
    state = LOADER.project_state(
        [(label, newest(label)) for label in OURS], at_end=True
    )
    return list(broken_rules(migration, state))


REFUSED: dict[str, Any] = {
    "index": ops.AddIndex("event", INDEX),
    "constraint": ops.AddConstraint("event", CHECK),
    "field that old code does not fill": ops.AddField("event", "f", SAME),
    "Python default": ops.AddField("event", "f", models.IntegerField(default=0)),
    "volatile default": ops.AddField(
        "event", "f", models.FloatField(db_default=Random())
    ),
    "unique field": ops.AddField(
        "event", "f", models.IntegerField(null=True, unique=True)
    ),
    "indexed field": ops.AddField(
        "event", "f", models.IntegerField(null=True, db_index=True)
    ),
    "foreign key": ops.AddField(
        "event",
        "f",
        models.ForeignKey("counters.Namespace", models.PROTECT, null=True),
    ),
    "generated field": ops.AddField(
        "event",
        "f",
        models.GeneratedField(
            expression=models.F("delta") * 2,
            output_field=models.BigIntegerField(),
            db_persist=True,
        ),
    ),
    "another type": ops.AlterField(
        "event", "delta", models.DecimalField(max_digits=40, decimal_places=0)
    ),
    "another length": ops.AlterField(
        "counter", "name", models.CharField(max_length=300, db_collation="C")
    ),
    "removed field": ops.RemoveField("namespace", "description"),
    "renamed field": ops.RenameField("event", "delta", "change"),
    "removed model": ops.DeleteModel("Claim"),
    "renamed model": ops.RenameModel("Claim", "Taken"),
    "renamed table": ops.AlterModelTable("claim", "other"),
    "SQL": RunSQL("SELECT 1"),
    "Python": RunPython(RunPython.noop),
    "both at once": ops.SeparateDatabaseAndState(),
}


@pytest.mark.parametrize("case", REFUSED)
def test_operation__that_locks_for_long_or_breaks_old_code_is_refused(
    case: str,
) -> None:
    assert len(broken_by(REFUSED[case])) == 1


@pytest.mark.parametrize("case", REFUSED)
def test_operation__is_let_through_with_a_reason_only(case: str) -> None:
    assert broken_by(REFUSED[case], reviewed={0: "it locks nothing for long"}) == []
    assert broken_by(REFUSED[case], reviewed={0: ""}) != []


ALLOWED: dict[str, Any] = {
    "nullable field": ops.AddField("event", "f", models.TextField(null=True)),
    "constant default": ops.AddField("event", "f", models.IntegerField(db_default=0)),
    "time of the migration": ops.AddField(
        "event", "f", models.DateTimeField(db_default=Now())
    ),
    "what Python alone knows": ops.AlterField(
        "event", "delta", models.BigIntegerField(help_text="x")
    ),
    "index of a small table": ops.AddIndex(
        "namespace", models.Index(fields=["created_at"], name="i")
    ),
    "constraint, not valid yet": AddConstraintNotValid("event", CHECK),
    "dropped index": ops.RemoveIndex("event", "counters_event_unfolded"),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_operation__that_changes_the_catalogue_only_is_allowed(case: str) -> None:
    assert broken_by(ALLOWED[case]) == []


def test_new_table__may_be_made_in_any_way() -> None:
    table = ops.CreateModel("New", [("id", models.BigAutoField(primary_key=True))])

    assert (
        broken_by(table, ops.AddIndex("new", models.Index(fields=["id"], name="i")))
        == []
    )


def test_concurrent_index__needs_a_migration_of_its_own() -> None:
    concurrent = AddIndexConcurrently("claim", INDEX)
    field = ops.AddField("claim", "f", models.TextField(null=True))

    assert broken_by(concurrent, atomic=False) == []
    assert len(broken_by(concurrent)) == 1
    assert len(broken_by(concurrent, field, atomic=False)) == 1


def test_migration__takes_the_lock_of_one_large_table_only() -> None:
    """Two would be taken in an order that is not that of adds."""
    fields = [
        ops.AddField(table, "f", models.TextField(null=True))
        for table in ("event", "lastwrite", "namespace")
    ]

    assert broken_by(fields[0], fields[2]) == []
    assert len(broken_by(*fields)) == 1
