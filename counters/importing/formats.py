"""Which format a file has, and the rows that it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from counters.importing import rows
from counters.importing.errors import CannotImport
from counters.importing.input import Input
from counters.importing.lines import Lines
from counters.importing.plan import Plan

SUFFIXES = {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}


@dataclass(frozen=True, slots=True)
class Table:
    """A file's rows, and what a rejects file of it begins with."""

    # Begins to read where the lines stand.
    read: Callable[[], rows.Rows]
    # None for NDJSON, which has no header.
    header_text: str | None
    dialect: rows.Dialect


def table(plan: Plan, source: Input, lines: Lines, wanted: Sequence[str]) -> Table:
    """Read the header, if the format has one; raise CannotImport if it is not usable."""
    separator = plan.separator or ("\t" if Path(source.name).suffix == ".tsv" else ",")
    dialect = rows.Dialect(separator, plan.quotes, plan.multiline)
    name = _named_format(plan, source) or _guessed_format(source)
    if name == "ndjson":
        return Table(lambda: rows.read_ndjson(lines, wanted), None, dialect)
    header = rows.read_header(lines, dialect, wanted)
    text = lines.text
    return Table(lambda: rows.read_csv(lines, header, wanted, dialect), text, dialect)


def _named_format(plan: Plan, source: Input) -> str | None:
    if plan.format != "auto":
        return plan.format
    return SUFFIXES.get(Path(source.name).suffix.lower())


def _guessed_format(source: Input) -> str:
    beginning = source.peek().lstrip(b"\xef\xbb\xbf \t\r\n")
    if beginning.startswith(b"["):
        raise CannotImport(
            "The file begins like a JSON array; it must be one object a line:"
            " jq -c '.[]' FILE | manage.py import_events - --format ndjson ..."
        )
    return "ndjson" if beginning.startswith(b"{") else "csv"
