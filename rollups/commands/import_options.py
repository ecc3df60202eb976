"""The options of `manage.py counters import`, and the text of its --help."""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import fields
from pathlib import Path
from typing import Any

from counters.importing.options import FORMATS, Options
from rollups.commands.base import arg, flag, instant, whole_number

ABOUT = """\
A CSV file has a header; NDJSON has one JSON object in each line. FILE may be gzipped or zipped.
`-` reads standard input. A named pipe is read in the same way.

Importing a file twice counts it once: each row's token is derived from the row, so rows that are
already counted are duplicates. A row that cannot be imported is reported with its line number and
written to FILE.rejects; correct it there and import that file. After Ctrl-C the same command
continues where it stopped."""

EXAMPLES = """\
  Sales with a time that has a UTC offset; each row adds its quantity to two counters:

    $ head -2 sales.csv
    sold_at,shop,product,quantity
    2025-03-01T09:30:00+01:00,Oslo,Tea,3
    $ manage.py counters import sales.csv --namespace demo --time sold_at \\
        --counter 'product/{product}' --counter 'shop/{shop}' --delta quantity

  A gzipped web log with Unix times, from a pipe; `request_id` identifies a row:

    $ zcat views.ndjson.gz | tail -1
    {"request_id": "b6c1", "page": "/prices", "ts": 1740819000}
    $ zcat views.ndjson.gz | manage.py counters import - --namespace demo \\
        --counter 'views/{page}' --time ts --time-format unix --key request_id

how rows are recognised:
  An event is identified by its counter, its token and its event time. The token is
    --token COLUMN   the text in the column; a row without a token is identified like
                     a row of an import without --token and --key;
    --key COLUMNS    made from these columns: rows may move, and other columns may change;
                     a row in which one of them is empty or blank is rejected;
    neither          made from the whole row, its line number and the file's name (or
                     --source): equal rows on two lines are two events, and a file that
                     grew at its end can be imported again. Lines must not move. The last
                     line must be complete.
  The file's name is FILE without its directories, .gz and .zip, or "stdin". So a log that is
  renamed when it is rotated counts again. If two hosts have files with the same name, equal
  rows on the same line count once. Prefer --key or --token, or name each log:
  --source web1/access.
  A row whose token is known with another delta is a conflict, and is rejected.

event times:
  With --time or --at, importing again counts once for as long as the namespace keeps its
  events (its retention). Without them the event time is now, and a duplicate is recognized
  only within the namespace's accept window; after that, another import counts again.
  Partitions for old times are created. A time in the future is rejected, and so is a Unix
  time before 1990, which is probably in another unit.
"""


def checked(options: Any) -> Options:
    """Check the options of the command line. Raises CannotImport."""
    given = {field.name: getattr(options, field.name) for field in fields(Options)}
    return Options(**given | {"counters": tuple(options.counters)})


def _columns(text: str) -> tuple[str, ...]:
    columns = tuple(name.strip() for name in text.split(","))
    if not all(columns):
        raise ArgumentTypeError(f"{text!r} names an empty column")
    return columns


_MAPPING = "counters and deltas"
_IDENTITY = "how rows are recognised"
_FORMAT = "how the file is written"
_RUNNING = "how the import runs"

ARGUMENTS = (
    arg("file", metavar="FILE", help="the file to import; - for standard input"),
    arg(
        "--namespace",
        required=True,
        metavar="NS",
        help="the counters' namespace; it must exist",
        group=_MAPPING,
    ),
    arg(
        "--counter",
        dest="counters",
        required=True,
        action="append",
        metavar="TEMPLATE",
        help="the counter's name, with columns in braces: 'route/{origin}-{dest}'. Give it"
        " several times to add to several counters",
        group=_MAPPING,
    ),
    arg(
        "--delta",
        default="1",
        metavar="COLUMN|NUMBER",
        help="what to add: a column with whole numbers, or one number (default: 1)",
        group=_MAPPING,
    ),
    arg(
        "--time",
        metavar="COLUMN",
        help="the column with the event time",
        group=_MAPPING,
    ),
    arg(
        "--at",
        type=instant,
        metavar="INSTANT",
        help="one event time for all rows, such as 2025-03-01T00:00:00Z",
        group=_MAPPING,
    ),
    arg(
        "--time-format",
        default="iso",
        metavar="FORMAT",
        help="iso (default); unix, unix-ms, unix-us or unix-ns for Unix times in seconds,"
        " milliseconds, microseconds or nanoseconds; or a pattern such as"
        " '%%d.%%m.%%Y %%H:%%M'",
        group=_MAPPING,
    ),
    arg(
        "--time-zone",
        metavar="NAME",
        help="the zone of times without a UTC offset, such as Europe/Berlin. A zone or an"
        " offset in the time itself overrides it. A local time that happens twice, or that is"
        " skipped, when the clocks change is rejected",
        group=_MAPPING,
    ),
    arg(
        "--token",
        metavar="COLUMN",
        help="a column that contains tokens",
        group=_IDENTITY,
    ),
    arg(
        "--key",
        type=_columns,
        default=(),
        metavar="COLUMNS",
        help="columns, separated by commas",
        group=_IDENTITY,
    ),
    arg(
        "--source",
        metavar="NAME",
        help="use this in place of the file's name (default: FILE without directories, .gz,"
        " .zip)",
        group=_IDENTITY,
    ),
    arg(
        "--format",
        choices=FORMATS,
        default="auto",
        help="default: by name, else by content",
        group=_FORMAT,
    ),
    arg(
        "--delimiter",
        metavar="CHAR",
        help="between columns; 'tab' for a tab (default: ,)",
        group=_FORMAT,
    ),
    arg(
        "--no-quotes",
        dest="quotes",
        action="store_false",
        help='treat " as an ordinary character',
        group=_FORMAT,
    ),
    flag("--multiline", "allow line breaks in quoted values", group=_FORMAT),
    arg(
        "--encoding",
        default="utf-8",
        metavar="NAME",
        help="default: utf-8",
        group=_FORMAT,
    ),
    arg(
        "--batch-rows",
        type=whole_number(1, of="events"),
        default=Options.batch_rows,
        metavar="N",
        help=f"commit after this many events (default: {Options.batch_rows:,})",
        group=_RUNNING,
    ),
    arg(
        "--rejects",
        type=Path,
        metavar="FILE",
        help="where rejected rows go (default: FILE.rejects)",
        group=_RUNNING,
    ),
    arg(
        "--max-rejects",
        type=whole_number(0, of="rows"),
        metavar="N",
        help="stop when more rows than this are rejected",
        group=_RUNNING,
    ),
    flag("--dry-run", "check all rows, write no event", group=_RUNNING),
    arg(
        "--no-resume",
        dest="resume",
        action="store_false",
        help="begin at the first row, and keep no progress from which to continue",
        group=_RUNNING,
    ),
)
