"""Define the options of the import command."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from counters.importing.plan import FORMATS, Plan

DESCRIPTION = """\
Import events from a CSV file with a header, or from NDJSON (one JSON object a line).
FILE may be gzipped or zipped. - reads standard input; a named pipe is read in the same way.

Importing twice counts once: each row's token is derived from the row, so rows that are
counted already are answered as duplicates. A row that cannot be imported is reported
with its line number and written to FILE.rejects; correct it there and import that file.
After Ctrl-C the same command goes on where it stopped.
"""

EPILOG = """\
examples:
  Sales with a time that has a UTC offset; each row adds its quantity to two counters:

    $ head -2 sales.csv
    sold_at,shop,product,quantity
    2025-03-01T09:30:00+01:00,Oslo,Tea,3
    $ manage.py import_events sales.csv --namespace demo --time sold_at \\
        --counter 'product/{product}' --counter 'shop/{shop}' --delta quantity

  A gzipped web log, with Unix times, from a pipe; `request_id` identifies a row:

    $ zcat views.ndjson.gz | tail -1
    {"request_id": "b6c1", "page": "/prices", "ts": 1740819000}
    $ zcat views.ndjson.gz | manage.py import_events - --namespace demo \\
        --counter 'views/{page}' --time ts --time-format unix --key request_id

what makes a row the same row:
  An event is known by its counter, its token and its event time. The token is
    --token COLUMN   what the column says;
    --key COLUMNS    made from these columns: rows may move, and other columns change;
                     a row in which one of them is empty is rejected;
    neither          made from the whole row, its line number and the file's name (or
                     --source): equal rows on two lines are two events, and a file that
                     grew at its end can be imported again. Lines must not move.
  The file's name is FILE without its directories, .gz and .zip, or "stdin". So a log that is
  renamed when it is rotated counts again. If two hosts have files with the same name, equal
  rows on the same line count once. Prefer --key or --token, or name each log:
  --source web1/access.
  A row whose token is known with another delta is a conflict, and is rejected.

event times:
  With --time or --at, importing again counts once for as long as the namespace keeps
  its events (its retention). Without them the time is now, and a repeat is known only
  within the namespace's accept window; then another import counts again. Old times get
  the partitions that they need. A time in the future is rejected, and so is a Unix time
  before 1990, which is probably in another unit.

exit code:
  0 all rows are counted, 1 some were rejected or the import broke off, 2 wrong options,
  130 stopped by Ctrl-C
"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="the file to import; - for standard input"
    )
    _add_mapping(parser)
    _add_identity(parser)
    _add_format(parser)
    _add_running(parser)


def _add_mapping(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("what a row adds to")
    group.add_argument(
        "--namespace",
        required=True,
        metavar="NS",
        help="the counters' namespace; it must exist",
    )
    group.add_argument(
        "--counter",
        required=True,
        action="append",
        metavar="TEMPLATE",
        help="the counter's name, with columns in braces: 'route/{origin}-{dest}'. Give it"
        " several times to add to several counters",
    )
    group.add_argument(
        "--delta",
        default="1",
        metavar="COLUMN|NUMBER",
        help="what to add: a column with whole numbers, or one number (default: 1)",
    )
    group.add_argument(
        "--time", metavar="COLUMN", help="the column with the event time"
    )
    group.add_argument(
        "--at",
        type=_instant,
        metavar="INSTANT",
        help="one event time for all rows, such as 2025-03-01T00:00:00Z",
    )
    group.add_argument(
        "--time-format",
        default="iso",
        metavar="FORMAT",
        help="iso (default); unix, unix-ms, unix-us or unix-ns for Unix times in seconds,"
        " milliseconds, microseconds or nanoseconds; or a pattern such as"
        " '%%d.%%m.%%Y %%H:%%M'",
    )
    group.add_argument(
        "--time-zone",
        metavar="NAME",
        help="the zone of times without a UTC offset, such as Europe/Berlin. A zone or an"
        " offset in the time itself overrides it. A local time that happens twice, or that is"
        " skipped, when the clocks change is rejected",
    )


def _add_identity(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("what makes a row the same row")
    group.add_argument("--token", metavar="COLUMN", help="a column with ready tokens")
    group.add_argument(
        "--key",
        type=_columns,
        default=(),
        metavar="COLUMNS",
        help="columns, with commas between",
    )
    group.add_argument(
        "--source",
        metavar="NAME",
        help="stands for the file's name (default: FILE without directories, .gz, .zip)",
    )


def _add_format(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("how the file is written")
    group.add_argument(
        "--format",
        choices=FORMATS,
        default="auto",
        help="default: by name, else by content",
    )
    group.add_argument(
        "--delimiter",
        metavar="CHAR",
        help="between columns; 'tab' for a tab (default: ,)",
    )
    group.add_argument(
        "--no-quotes",
        action="store_true",
        help='treat " as an ordinary character',
    )
    group.add_argument(
        "--multiline",
        action="store_true",
        help="allow line breaks in quoted values",
    )
    group.add_argument(
        "--encoding", default="utf-8", metavar="NAME", help="default: utf-8"
    )


def _add_running(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("how to go about it")
    group.add_argument(
        "--batch-rows",
        type=int,
        default=Plan.batch_rows,
        metavar="N",
        help=f"commit after this number of events (default: {Plan.batch_rows:,})",
    )
    group.add_argument(
        "--rejects",
        type=Path,
        metavar="FILE",
        help="where rejected rows go (default: FILE.rejects)",
    )
    group.add_argument(
        "--max-rejects",
        type=int,
        metavar="N",
        help="stop when more rows than this are rejected",
    )
    group.add_argument(
        "--dry-run", action="store_true", help="check all rows, write no event"
    )
    group.add_argument(
        "--no-resume",
        action="store_true",
        help="begin at the first row, and keep no progress from which to continue",
    )
    group.add_argument(
        "--json",
        action="store_true",
        help="print the summary as one JSON object, for scripts",
    )


def plan_of(options: dict[str, Any]) -> Plan:
    """Return the plan that the options describe; raise CannotImport."""
    return Plan(
        file=options["file"],
        namespace=options["namespace"],
        counters=tuple(options["counter"]),
        delta=options["delta"],
        time=options["time"],
        at=options["at"],
        time_zone=options["time_zone"],
        time_format=options["time_format"],
        key=tuple(options["key"]),
        token=options["token"],
        source=options["source"],
        format=options["format"],
        delimiter=options["delimiter"],
        encoding=options["encoding"],
        quotes=not options["no_quotes"],
        multiline=options["multiline"],
        batch_rows=options["batch_rows"],
        rejects=options["rejects"],
        max_rejects=options["max_rejects"],
        dry_run=options["dry_run"],
        resume=not options["no_resume"],
    )


def _columns(text: str) -> tuple[str, ...]:
    columns = tuple(name.strip() for name in text.split(","))
    if not all(columns):
        raise ArgumentTypeError(f"{text!r} names an empty column")
    return columns


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ArgumentTypeError(f"{text!r} is not ISO 8601") from error
    raise ArgumentTypeError(f"{text!r} has no UTC offset; put a Z behind it, or +01:00")
