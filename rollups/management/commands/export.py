"""`manage.py export totals|series|events`."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandError
from rich.progress import (
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from counters.management.base import TaughtCommand, instant, progress_bar
from counters.namespaces import lookup
from rollups.reading import export
from rollups.reading.export import FORMATS, open_writer


class Command(TaughtCommand):
    help = (
        "Export counters: their folded totals, their sums per bucket, or the single events"
        " that are kept. One snapshot, read a batch at a time; writes and folds go on."
    )
    examples = """\
examples:
  manage.py export totals                                      CSV of all counters
  manage.py export totals --namespace demo --output demo.csv
  manage.py export series --namespace demo --from 2026-01-01T00:00Z --to 2026-02-01T00:00Z
  manage.py export events --format ndjson | gzip > events.ndjson.gz
  manage.py export totals --output totals.parquet              by the file's ending
  manage.py export totals --output totals.csv --for-spreadsheets

Instants are UTC. In CSV and Parquet numbers have all their digits; in NDJSON those beyond
2^53 are text, as in the API. A token is exported as it is stored: a UUID. Parquet needs the
package pyarrow.

A name such as =1+1 is exported unchanged, and a spreadsheet would run it as a formula. With
--for-spreadsheets the CSV has a ' before such text, and a byte order mark. Do not import that
file, because the names in it are changed.

exit codes: 0 exported; 1 refused, with the reason; 2 wrong usage; 130 Ctrl-C, no file left;
141 the reader of the pipe has gone
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=[*export.COLUMNS])
        parser.add_argument("--namespace", help="only this namespace's counters")
        parser.add_argument(
            "--from",
            dest="since",
            type=instant,
            metavar="INSTANT",
            help="the first instant, with its UTC offset, such as 2026-01-31T00:00Z"
            " (default: that of the oldest event kept)",
        )
        parser.add_argument(
            "--to",
            dest="until",
            type=instant,
            metavar="INSTANT",
            help="the end, not included (default: none)",
        )
        parser.add_argument("--format", choices=FORMATS, help="default: csv")
        parser.add_argument(
            "--for-spreadsheets",
            action="store_true",
            help="CSV that Excel and others open safely: they run no text as a formula",
        )
        parser.add_argument(
            "--output",
            default="-",
            metavar="FILE",
            help="written beside and moved here at the end; default: standard output",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        what, name, output = options["what"], options["namespace"], options["output"]
        if what == "totals" and (options["since"] or options["until"]):
            raise CommandError("Totals are of now: --from and --to are for the others.")
        chosen = _format(options["format"], output)
        for_spreadsheets = options["for_spreadsheets"]
        if for_spreadsheets and chosen != "csv":
            raise CommandError(f"--for-spreadsheets is for CSV, not for {chosen}.")
        if chosen == "parquet" and output == "-" and sys.stdout.isatty():
            raise CommandError("Parquet is no text: give --output FILE.")
        batches = export.rows(
            what,
            namespace=lookup.get(name) if name else None,
            since=options["since"],
            until=options["until"],
        )
        # Rows that appear on the terminal need no bar, which would be drawn over them.
        is_seen = output == "-" and sys.stdout.isatty()
        with _destination(output) as stream, _bar(what, hidden=is_seen) as show:
            writer = open_writer(
                chosen,
                stream,
                export.COLUMNS[what],
                for_spreadsheets=for_spreadsheets,
            )
            for batch in batches:
                writer.write(batch)
                show(len(batch))
            writer.close()


def _format(given: str | None, output: str) -> str:
    ending = Path(output).suffix.removeprefix(".")
    return given or (ending if ending in FORMATS else "csv")


@contextmanager
def _destination(output: str) -> Iterator[IO[bytes]]:
    """Give the stream; a file appears under its name only when it is whole."""
    if output == "-":
        yield sys.stdout.buffer
        return
    unfinished = Path(f"{output}.part")
    try:
        with unfinished.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(output)
    except OSError as error:
        raise CommandError(f"{output}: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _bar(what: str, *, hidden: bool) -> Iterator[Any]:
    columns = (
        SpinnerColumn(),
        TextColumn(f"Exporting {what}"),
        TextColumn("{task.completed:,} rows"),
        TimeElapsedColumn(),
    )
    with progress_bar(*columns, hidden=hidden) as progress:
        task = progress.add_task(what, total=None)
        yield lambda rows: progress.advance(task, rows)
