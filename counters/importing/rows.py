"""Read rows from CSV with a header, or from NDJSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from counters.importing.errors import CannotImport, QuoteOpen
from counters.importing.input import LINE_BYTES, Input, Lines
from counters.importing.options import Options

# The first two columns of a rejects file: the row's place in the input file, and the reason.
PLACE, REASON = "_row", "_reason"
# Errors of the csv module, which has no codes for them.
_OPEN_AT_THE_END = "unexpected end of data"
_FIELD_TOO_LONG = "field larger than field limit"
_RETURN_IN_A_LINE = "new-line character seen in unquoted field"
# How far a quote that is not closed on its line may be closed below, for the memory.
_QUOTE_LINES, _QUOTE_BYTES = 1_000, LINE_BYTES
_WHICH_OPTION = (
    "If values contain line breaks, give --multiline; if quotes are ordinary characters in"
    " this file, give --no-quotes"
)
_ONLY_RETURNS = (
    "a carriage return within the line. If carriage returns are the line ends, convert the"
    " file with tr '\\r' '\\n' < FILE, and import the result"
)


class Row(NamedTuple):
    """One row of the file."""

    # The number of its first line.
    line: int
    # The row's place by the rejects file; None in any other file.
    place: str | None
    # The columns that the options name.
    values: dict[str, Any]
    # All columns as one text; different rows have different texts.
    content: str


class Unreadable(NamedTuple):
    """A part of the file that is not a valid row."""

    line: int
    place: str | None
    reason: str


# Rows in order, from the current position of the lines.
Rows = Iterator[Row | Unreadable]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The dialect of a CSV file."""

    separator: str
    quotes: bool
    multiline: bool

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Parse lines strictly: a quote that is not closed is an error."""
        return csv.reader(
            lines,
            delimiter=self.separator,
            quoting=csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE,
            strict=True,
        )

    def next_row(self, lines: Iterator[str]) -> list[str]:
        """Parse the next row: one line, unless quoted values may hold line breaks.

        Raises StopIteration at the end.
        """
        return next(self.reader(lines if self.multiline else [next(lines)]))


def read_csv(
    lines: Lines, header: Sequence[str], wanted: Sequence[str], dialect: Dialect
) -> Rows:
    """Yield the rows after the header; skip blank lines.

    Raises QuoteOpen if no line can be told to begin a row.
    """
    places = [(name, header.index(name)) for name in wanted]
    marked = list(header[:2]) == [PLACE, REASON]
    first = 2 if marked else 0
    while True:
        lines.begin()
        try:
            fields = dialect.next_row(lines)
        except StopIteration:
            return
        except csv.Error as error:
            place = _place_of_damaged(lines.text, dialect) if marked else None
            if _is_open(lines, dialect, error):
                _pass_continuation(lines, dialect)
            reason = lines.problem or _explain(error, lines, dialect)
            yield Unreadable(lines.first_number, place, reason)
            continue
        if not fields:
            continue
        place = fields[0] if marked else None
        if lines.problem:
            if _is_open(lines, dialect):
                _pass_continuation(lines, dialect)
            yield Unreadable(lines.first_number, place, lines.problem)
        elif len(fields) != len(header):
            wrong = f"{len(fields) - first} columns, but the header has {len(header) - first}"
            yield Unreadable(lines.first_number, place, wrong)
        else:
            yield Row(
                lines.first_number,
                place,
                {name: fields[index] for name, index in places},
                "\0".join(fields[first:] if marked else fields),
            )


def _place_of_damaged(text: str, dialect: Dialect) -> str | None:
    """Return the first field of a row that cannot be parsed to its end."""
    line = text.partition("\n")[0]
    try:
        return next(csv.reader([line], delimiter=dialect.separator))[0]
    except (csv.Error, StopIteration, IndexError):
        return None


def _is_open(lines: Lines, dialect: Dialect, error: csv.Error | None = None) -> bool:
    """Tell whether the line that was read ends within a quoted value, which is not allowed."""
    if dialect.multiline or not dialect.quotes:
        return False
    if lines.is_cut or str(error).startswith(_FIELD_TOO_LONG):
        # The parser did not reach the end of the line.
        return lines.quotes % 2 == 1
    return str(error) == _OPEN_AT_THE_END


def _pass_continuation(lines: Lines, dialect: Dialect) -> None:
    """Read up to the line on which the row with the open quote ends.

    These lines are one row, as with --multiline: a part of it must not count as another row.
    Raises QuoteOpen if the row does not end within the limits.
    """

    begin = lines.offset

    def continuation() -> Iterator[str]:
        yield '"'
        for line in islice(lines, _QUOTE_LINES):
            if lines.offset - begin > _QUOTE_BYTES:
                return
            yield line

    try:
        next(dialect.reader(continuation()))
    except csv.Error as error:
        if str(error).startswith((_OPEN_AT_THE_END, _FIELD_TOO_LONG)):
            raise QuoteOpen(
                f"line {lines.first_number:,}: a quote is not closed up to line"
                f" {lines.number:,}. {_WHICH_OPTION}."
            ) from error


def read_ndjson(
    lines: Lines, wanted: Sequence[str], optional: str | None = None
) -> Rows:
    """Yield a row for each line that is not blank; a missing optional key is null."""
    needed = [name for name in wanted if name != optional]
    while True:
        lines.begin()
        text = next(lines, None)
        if text is None:
            return
        if not text.strip():
            continue
        if lines.problem:
            yield Unreadable(lines.first_number, None, lines.problem)
            continue
        try:
            found = _decode(text)
        except (ValueError, RecursionError) as error:
            reason = f"not JSON: {error}"
            if "\r" in text.strip():
                reason += f"; it has {_ONLY_RETURNS}"
            yield Unreadable(lines.first_number, None, reason)
            continue
        if not isinstance(found, dict):
            yield Unreadable(lines.first_number, None, "not a JSON object")
            continue
        place = None
        if REASON in found and isinstance(found.get(PLACE), str):
            place = found.pop(PLACE)
            del found[REASON]
        if missing := [name for name in needed if name not in found]:
            yield Unreadable(
                lines.first_number,
                place,
                f"no {missing[0]!r}; it has {_quoted(found)}",
            )
            continue
        yield Row(
            lines.first_number,
            place,
            {name: found.get(name) for name in wanted},
            json.dumps(found, sort_keys=True, separators=(",", ":")),
        )


def read_header(lines: Lines, dialect: Dialect, wanted: Sequence[str]) -> list[str]:
    """Return a CSV file's column names; raise CannotImport if a wanted one is missing."""
    lines.begin()
    try:
        header = dialect.next_row(lines)
    except StopIteration:
        header = []
    except csv.Error as error:
        reason = _explain(error, lines, dialect)
        raise CannotImport(f"The header cannot be read: {reason}.") from error
    if lines.problem:
        raise CannotImport(f"The header cannot be read: {lines.problem}.")
    if not header:
        raise CannotImport(
            "There are no column names: the file or its first line is empty."
        )
    for name in wanted:
        if name not in header:
            raise CannotImport(_missing_column(name, header))
        if header.count(name) > 1:
            raise CannotImport(f"The header has the column {name!r} more than once.")
    return header


def _missing_column(name: str, header: list[str]) -> str:
    hint = ""
    if len(header) == 1:
        for other, said in (("\t", "tab"), (";", "';'"), ("|", "'|'"), (",", "','")):
            if other in header[0]:
                hint = f" Perhaps the delimiter is another one: --delimiter {said}"
                break
    return f"There is no column {name!r}. The columns are: {_quoted(header)}.{hint}"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _explain(error: csv.Error, lines: Lines, dialect: Dialect) -> str:
    if lines.number > lines.first_number and dialect.multiline:
        return f"{error}; is a quote left open? (it goes up to line {lines.number})"
    if lines.number > lines.first_number:
        return (
            f"a quote is not closed on its line; the row goes up to line {lines.number:,}."
            f" {_WHICH_OPTION}"
        )
    if str(error) == _OPEN_AT_THE_END:
        return f"a quote is not closed. {_WHICH_OPTION}"
    if str(error).startswith(_RETURN_IN_A_LINE):
        return _ONLY_RETURNS
    return str(error)


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; raise ValueError for a repeated key, as the API does."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{twice!r} is given twice in one object")
    return found


class NumberText(str):
    """A JSON number as it is written: 1.10 is not 1.1 in a counter's name."""

    __slots__ = ()


def _read_integer(text: str) -> int | NumberText:
    try:
        return int(text)
    except ValueError:
        # Python reads no int of more than 4,300 digits.
        return NumberText(text)


_decode: Callable[[str], Any] = json.JSONDecoder(
    parse_int=_read_integer,
    parse_float=NumberText,
    parse_constant=_refuse_constant,
    object_pairs_hook=_read_object,
).decode


SUFFIXES = {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file, and the first lines of its rejects file."""

    # Reads from the current position of the lines.
    read: Callable[[], Rows]
    # None for NDJSON, which has no header.
    header_text: str | None
    dialect: Dialect


def table(
    options: Options, source: Input, lines: Lines, wanted: Sequence[str]
) -> Table:
    """Read the header of a CSV file; raise CannotImport if it is not usable."""
    separator = options.separator or (
        "\t" if Path(source.name).suffix == ".tsv" else ","
    )
    dialect = Dialect(separator, options.quotes, options.multiline)
    name = _named_format(options, source) or _guessed_format(source)
    if name == "ndjson":
        for option, given in (
            ("--delimiter", options.delimiter is not None),
            ("--no-quotes", not options.quotes),
            ("--multiline", options.multiline),
        ):
            if given:
                raise CannotImport(f"{option} is for CSV, and the file is NDJSON.")
        # As in CSV, a row may have no token.
        token = options.token
        return Table(lambda: read_ndjson(lines, wanted, token), None, dialect)
    header = read_header(lines, dialect, wanted)
    text = lines.text
    return Table(lambda: read_csv(lines, header, wanted, dialect), text, dialect)


def _named_format(options: Options, source: Input) -> str | None:
    if options.format != "auto":
        return options.format
    return SUFFIXES.get(Path(source.name).suffix.lower())


def _guessed_format(source: Input) -> str:
    beginning = source.peek().lstrip(b"\xef\xbb\xbf \t\r\n")
    if beginning.startswith(b"["):
        raise CannotImport(
            "The file begins like a JSON array; it must be one object a line:"
            " jq -c '.[]' FILE | manage.py counters import - --format ndjson ..."
        )
    return "ndjson" if beginning.startswith(b"{") else "csv"
