"""Export totals, series and events as CSV, NDJSON or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from io import TextIOWrapper
from typing import IO, Any, Literal, Protocol

from django.db import connection, transaction

from counters.db.statements import load
from counters.errors import InvalidValue, stamp
from counters.json_values import exact_number
from counters.models import Namespace

Kind = Literal["totals", "series", "events"]
Type = Literal["text", "whole", "instant", "claim"]
BATCH_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Column:
    """The name and the type of a column. Whole numbers are exact, of any size."""

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
    """Yield batches of rows with the columns COLUMNS[kind], from one snapshot.

    Only one batch is in memory. Totals are current, so they have no span.
    """
    parameters: dict[str, Any] = {"namespace_id": namespace.pk if namespace else None}
    if kind != "totals":
        parameters |= {"since": since, "until": until}
    columns = COLUMNS[kind]
    # PostgreSQL keeps the cursor in the result only within a transaction.
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


FORMATS = ("csv", "ndjson", "parquet")
# A spreadsheet runs text that begins with one of these as a formula. A tab or a line end would
# do the same, but no name contains them.
FORMULA_STARTS = ("=", "+", "-", "@", "\N{FULLWIDTH EQUALS SIGN}")
# The most digits that all readers of Parquet support; a longer total is refused, not rounded.
_DIGITS = 38


class Writer(Protocol):
    """Write batches of rows. `close` ends the file but leaves the stream open."""

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None: ...

    def close(self) -> None: ...


def open_writer(
    chosen: str,
    stream: IO[bytes],
    columns: Sequence[Column],
    *,
    for_spreadsheets: bool = False,
) -> Writer:
    """Return a writer of one of FORMATS; raise InvalidValue if it cannot be written.

    `for_spreadsheets` makes CSV safe: a spreadsheet runs no text as a formula and reads UTF-8.
    """
    if chosen == "csv":
        return _Csv(stream, columns, for_spreadsheets=for_spreadsheets)
    if chosen == "ndjson":
        return _NdJson(stream, columns)
    if find_spec("pyarrow") is None:
        raise InvalidValue(
            "format",
            chosen,
            "possible without the package pyarrow: pip install pyarrow",
        )
    return _Parquet(stream, columns)


class _Csv:
    """Write CSV: a header, then one line per row. Instants end with `Z`; None is an empty field."""

    def __init__(
        self, stream: IO[bytes], columns: Sequence[Column], *, for_spreadsheets: bool
    ) -> None:
        self._for_spreadsheets = for_spreadsheets
        # Without a byte order mark, Excel takes UTF-8 for its own code page.
        encoding = "utf-8-sig" if for_spreadsheets else "utf-8"
        self._text = TextIOWrapper(stream, encoding=encoding, newline="")
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow(column.name for column in columns)

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._writer.writerows([self._field(value) for value in row] for row in rows)

    def _field(self, value: Any) -> str:
        is_formula = isinstance(value, str) and value.startswith(FORMULA_STARTS)
        if self._for_spreadsheets and is_formula:
            return f"'{value}"
        return _as_text(value)

    def close(self) -> None:
        self._text.flush()
        self._text.detach()


class _NdJson:
    """Write one JSON object per line. Numbers that JavaScript would round are text, as in the API."""

    def __init__(self, stream: IO[bytes], columns: Sequence[Column]) -> None:
        self._stream = stream
        self._names = [column.name for column in columns]

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._stream.writelines(self._lines(rows))

    def _lines(self, rows: Iterable[tuple[Any, ...]]) -> Iterable[bytes]:
        for row in rows:
            body = {
                name: _as_json(value)
                for name, value in zip(self._names, row, strict=True)
            }
            yield json.dumps(body, ensure_ascii=False).encode() + b"\n"

    def close(self) -> None:
        self._stream.flush()


class _Parquet:
    """Write Parquet: whole numbers as decimal(38, 0), instants as microseconds UTC."""

    def __init__(self, stream: IO[bytes], columns: Sequence[Column]) -> None:
        # Imported here because it is large and only this format needs it.
        self._arrow = import_module("pyarrow")
        types = {
            "text": self._arrow.string(),
            "whole": self._arrow.decimal128(_DIGITS, 0),
            "instant": self._arrow.timestamp("us", tz="UTC"),
            "claim": self._arrow.bool_(),
        }
        self._schema = self._arrow.schema(
            [(column.name, types[column.type]) for column in columns]
        )
        self._writer = import_module("pyarrow.parquet").ParquetWriter(
            stream, self._schema
        )

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        for value in (value for row in rows for value in row):
            if isinstance(value, int) and abs(value) >= 10**_DIGITS:
                raise InvalidValue("count", value, f"a number of {_DIGITS} digits")
        arrays = [
            self._arrow.array(list(values), type=field.type)
            for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        self._writer.write_table(
            self._arrow.Table.from_arrays(arrays, schema=self._schema)
        )

    def close(self) -> None:
        self._writer.close()


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return stamp(value) if isinstance(value, datetime) else str(value)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return exact_number(value)
    return value
