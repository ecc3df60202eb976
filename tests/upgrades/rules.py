"""What a migration of ours may do while the service runs: docs/operations.md, Upgrades.

A migration's own class may lift the rule for one of its operations, with the reason:
`reviewed = {0: "..."}`, by the operation's place in the list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    NotInTransactionMixin,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.models import NOT_PROVIDED, Field, GeneratedField, Value
from django.db.models.functions import Now

OURS = ("counters", "rollups")
# Tables that grow, or that every add writes.
LARGE = {
    *(("counters", name) for name in ("event", "lastwrite", "claim", "counter")),
    *(("rollups", name) for name in ("rollup", "bucket")),
}
# Applied everywhere before there was a rule, or with nothing in the tables.
EXEMPT = {
    ("counters", "0001_initial"): "there was nothing before it",
    ("rollups", "0001_initial"): "there was nothing before it",
    ("rollups", "0003_closing_and_anchor"): "its SQL makes a table and two functions",
}
_HARMLESS = (
    operations.CreateModel,
    operations.AlterModelOptions,
    operations.AlterModelManagers,
    operations.RemoveIndex,
    operations.RenameIndex,
    operations.RemoveConstraint,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    AddConstraintNotValid,
    ValidateConstraint,
)


def newest(app: str) -> str:
    """Return the name of the app's last migration."""
    disk = MigrationLoader(None).disk_migrations
    return max(
        name for label, name in disk if label == app and not name.startswith("999")
    )


def broken_rules(migration: Migration, state: Any) -> Iterator[str]:
    """Yield what is wrong with a migration; `state` is the project's before it."""
    reviewed: dict[int, str] = getattr(migration, "reviewed", {})
    app, created = migration.app_label, set[str]()
    concurrent = [
        isinstance(one, NotInTransactionMixin) for one in migration.operations
    ]
    if any(concurrent) and (migration.atomic or len(concurrent) > 1):
        # Broken off half-way, the rest of it would be there and not be known to be.
        yield "a concurrent operation needs a migration of its own, with atomic = False"
    locked = set[str]()
    for place, operation in enumerate(migration.operations):
        if isinstance(operation, operations.CreateModel):
            created.add(operation.name_lower)
        on_new = getattr(operation, "model_name_lower", None) in created
        if not on_new and not reviewed.get(place):
            wrong = _what_is_wrong(app, operation, state)
            if wrong:
                yield f"{operation.describe()}: {wrong}"
        table = getattr(operation, "model_name_lower", "")
        if (app, table) in LARGE and not on_new:
            locked.add(table)
        state = state.clone()
        operation.state_forwards(app, state)
    if len(locked) > 1:
        # An add that holds the second and waits for the first: each waits for the other,
        # and under load the migration never gets both.
        yield f"one large table a migration, not {', '.join(sorted(locked))}"


def _what_is_wrong(app: str, operation: Any, state: Any) -> str | None:
    if isinstance(operation, _HARMLESS):
        return None
    large = (app, getattr(operation, "model_name_lower", None)) in LARGE
    if isinstance(operation, operations.AddIndex):
        return "use AddIndexConcurrently: adds wait for it" if large else None
    if isinstance(operation, operations.AddConstraint):
        return "use AddConstraintNotValid, then ValidateConstraint" if large else None
    if isinstance(operation, operations.AddField):
        return _wrong_with_new(operation.field, large=large)
    if isinstance(operation, operations.AlterField):
        model = state.models[app, operation.model_name_lower]
        before, after = model.fields[operation.name], operation.field
        return _wrong_with_change(before, after) if large else None
    if isinstance(operation, (operations.RunSQL, operations.RunPython)):
        return "say in `reviewed` what it locks and for how long"
    # Removing and renaming break the code that still runs beside it.
    return "old code runs on; when none does, say so in `reviewed`"


def _wrong_with_new(field: Field[Any, Any], *, large: bool) -> str | None:
    default = field.db_default
    if isinstance(field, GeneratedField):
        return "it rewrites the table" if large else None
    if default is NOT_PROVIDED and not field.null:
        return "old code does not fill it: null=True or db_default"
    # A plain value is no expression yet: the field is not bound to a model.
    varies = hasattr(default, "resolve_expression")
    if large and varies and not isinstance(default, (Value, Now)):
        return "a default that differs by row rewrites the table"
    if large and (_has_index(field) or field.remote_field):
        return "its index is not built concurrently"
    return None


def _wrong_with_change(before: Field[Any, Any], after: Field[Any, Any]) -> str | None:
    if before.deconstruct()[1] != after.deconstruct()[1] or _shape(before) != _shape(
        after
    ):
        return "another type rewrites the table"
    if before.null and not after.null:
        return "NOT NULL reads the whole table: a valid CHECK first, then `reviewed`"
    if _has_index(after) and not _has_index(before):
        return "its index is not built concurrently"
    return None


def _has_index(field: Any) -> bool:
    return bool(field.unique or field.db_index)


def _shape(field: Field[Any, Any]) -> tuple[Any, ...]:
    names = ("max_length", "max_digits", "decimal_places", "db_collation", "db_column")
    return tuple(getattr(field, name, None) for name in names)
