"""Model fields for PostgreSQL's transaction ids and snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Func

# Django's Field takes its types only in the stubs.
if TYPE_CHECKING:
    IntField = models.Field[int, int]
    StrField = models.Field[str, str]
else:
    IntField = StrField = models.Field


class CurrentTransactionId(Func):
    """The writing transaction's own id; never the same twice in a cluster's life."""

    function = "pg_current_xact_id"
    arity = 0

    def __init__(self) -> None:
        super().__init__(output_field=Xid8Field())


class Xid8Field(IntField):
    """A 64-bit transaction id (`xid8`); Python sees an int."""

    def db_type(self, connection: Any) -> str:
        return "xid8"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> int | None:
        return None if value is None else int(value)

    def get_prep_value(self, value: Any) -> Any:
        # PostgreSQL casts text to xid8, but no integer type.
        return (
            value
            if value is None or hasattr(value, "resolve_expression")
            else str(value)
        )


class SnapshotField(StrField):
    """A `pg_snapshot`: which transactions had settled at one instant; a str in Python."""

    def db_type(self, connection: Any) -> str:
        return "pg_snapshot"
