"""Exporting totals, series and events: rows straight from PostgreSQL, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db import connection, transaction

from counters.db.statements import load
from counters.models import Namespace

Kind = Literal["totals", "series", "events"]
Type = Literal["text", "whole", "instant", "claim"]
BATCH_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name, and what its values are; a whole number is exact, of any size."""

    name: str
    type: Type


_COUNTER = (Column("namespace", "text"), Column("name", "text"))
COLUMNS: dict[Kind, tuple[Column, ...]] = {
    "totals": (
        *_COUNTER,
        Column("count", "whole"),
        Column("events", "whole"),
        Column("as_of", "instant"),
        Column("pending", "claim"),
        Column("last_write_at", "instant"),
    ),
    "series": (
        *_COUNTER,
        Column("at", "instant"),
        Column("delta", "whole"),
        Column("events", "whole"),
    ),
    "events": (
        *_COUNTER,
        Column("token", "text"),
        Column("event_time", "instant"),
        Column("delta", "whole"),
    ),
}


def rows(
    kind: Kind,
    *,
    namespace: Namespace | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield batches of rows, with the values of COLUMNS[kind], as of one snapshot.

    Nothing but a batch is in memory. Totals know no span: they are of now.
    """
    parameters: dict[str, Any] = {"namespace_id": namespace.pk if namespace else None}
    if kind != "totals":
        parameters |= {"since": since, "until": until}
    columns = COLUMNS[kind]
    # PostgreSQL keeps the place in the result; it does so in a transaction only.
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(load("rollups", f"export_{kind}"), parameters)
        while batch := cursor.fetchmany(BATCH_ROWS):
            yield [
                tuple(
                    _value(value, column.type)
                    for value, column in zip(row, columns, strict=True)
                )
                for row in batch
            ]


def _value(value: Any, its_type: Type) -> Any:
    if value is None:
        return None
    if its_type == "whole":
        return int(value)
    return str(value) if its_type == "text" else value
