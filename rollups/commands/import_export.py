"""Subcommands that import events from files and export counters to files."""

from __future__ import annotations

import gc
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.db import DatabaseError
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from counters.durations import format_duration
from counters.errors import BatchRefused, NamespaceNotFound
from counters.importing import mapping, report
from counters.importing.errors import CannotImport, InputBroken, QuoteOpen
from counters.importing.input import Input, opened
from counters.importing.options import Options
from counters.importing.run import Import, Outcome, Watcher
from counters.namespaces import lookup
from rollups.commands import import_options
from rollups.commands.base import (
    ONLY_NAMESPACE,
    Output,
    Refused,
    arg,
    flag,
    only_namespace,
    progress_bar,
    span_arguments,
    subcommand,
)
from rollups.reading import export
from rollups.reading.export import FORMATS, open_writer

_WRONG_OPTIONS, _SOME_REJECTED, _STOPPED_BY_CTRL_C = 2, 1, 130
# Rejected rows that are shown; all of them are in the rejects file.
_SHOWN_REJECTS = 10
_GC_THRESHOLD = 200_000
_NOTHING_WRITTEN = "Nothing was written: this was a dry run."


@subcommand(
    "import",
    "Import events from a CSV or NDJSON file, or from a pipe.",
    *import_options.ARGUMENTS,
    about=import_options.ABOUT,
    examples=import_options.EXAMPLES,
    exit_codes="""\
0 all rows are counted; 1 some were rejected, or an error interrupted the import;
2 wrong options; 130 stopped by Ctrl-C""",
)
def import_events(out: Output, options: Any) -> None:
    try:
        checked = import_options.checked(options)
        _check_rejects_file(checked)
        with opened(checked) as source:
            outcome = _import(out, checked, source)
    except NamespaceNotFound as error:
        raise Refused(
            f"{error.message} Create it first: manage.py counters create-namespace"
            f" {shlex.quote(options.namespace)}",
            returncode=_WRONG_OPTIONS,
        ) from error
    except CannotImport as error:
        raise Refused(str(error), returncode=_WRONG_OPTIONS) from error
    except InputBroken as error:
        raise Refused(f"The import cannot begin: {error}") from error
    done = report.summarise(checked, outcome)
    out.answer(done, report.as_text(done, lookup.get(checked.namespace)))
    if outcome.totals.rejected:
        sys.exit(_SOME_REJECTED)


def _import(out: Output, options: Options, source: Input) -> Outcome:
    # A batch is tens of thousands of objects without a cycle; searching for cycles at
    # Python's usual rate took a quarter of the time.
    gc.set_threshold(_GC_THRESHOLD)
    reporter = _ImportReporter(options)
    running = Import(options, source, reporter.watcher)
    reporter.warn(running.source)
    try:
        before = running.committed.totals.events
        with report.shown(source, events_before=before) as reporter.speaker:
            reporter.watcher.advanced = reporter.speaker.advance
            return running.run()
    except KeyboardInterrupt:
        out.warn(f"\nStopped. {_how_far(options, running)}")
        sys.exit(_STOPPED_BY_CTRL_C)
    except QuoteOpen as error:
        raise Refused(
            f"The import stopped at {error}\n{_after_open_quote(options, running)}"
        ) from error
    except (InputBroken, DatabaseError, BatchRefused, OSError) as error:
        raise Refused(
            f"The import was interrupted: {str(error).strip()}"
            f"\n{_how_far(options, running)}"
        ) from error


class _ImportReporter:
    """Reports on standard error while an import runs."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._rejects_shown = 0
        self.speaker = report.Quiet()
        self.watcher = Watcher(
            resumed=lambda line: self.speaker.say(
                f"Continuing after line {line:,}, where the last import of this file"
                " stopped."
            ),
            rejected=self._rejected,
        )

    def warn(self, source: str) -> None:
        """Warn of options with which another import may count again."""
        options = self._options
        if options.time is None and options.at is None:
            window = format_duration(lookup.get(options.namespace).accept_past)
            self.speaker.say(
                "Without --time and --at the event time is now, and importing again counts"
                f" once only within {window}."
            )
        if doubt := mapping.doubt(options, source):
            self.speaker.say(doubt)

    def _rejected(self, line: int, reason: str) -> None:
        self._rejects_shown += 1
        if self._rejects_shown <= _SHOWN_REJECTS:
            self.speaker.say(f"line {line:,}: {reason}")
        elif self._rejects_shown == _SHOWN_REJECTS + 1:
            self.speaker.say(f"More rejected rows: see {self._options.rejects_file}")


def _how_far(options: Options, running: Import) -> str:
    if options.dry_run:
        return _NOTHING_WRITTEN
    far = f"Everything up to line {running.committed.line:,} is counted."
    if not options.keeps_progress:
        return f"{far} Run it again: rows that are already counted do not count again."
    return f"{far} Run the same command again to continue there."


def _after_open_quote(options: Options, running: Import) -> str:
    if options.dry_run:
        return _NOTHING_WRITTEN
    far = f"Everything up to line {running.committed.line:,} is counted"
    if options.key or options.token:
        return f"{far}, and does not count again."
    # Without quotes, other values are read, and from them another token is made.
    return (
        f"{far}, and does not count again with --multiline. With --no-quotes, those of these"
        " rows that have quotes count again."
    )


def _check_rejects_file(options: Options) -> None:
    """Refuse a rejects file that could not be written at the first rejected row."""
    file = options.rejects_file
    if not os.access(file.parent, os.W_OK):
        raise CannotImport(
            f"{file} cannot be written. Change its permissions, or give --rejects FILE."
        )


@subcommand(
    "export",
    "Export totals, series or events as CSV, NDJSON or Parquet.",
    arg("what", choices=[*export.COLUMNS], help="what to export"),
    ONLY_NAMESPACE,
    *span_arguments("the oldest event kept", "none"),
    arg("--format", choices=FORMATS, help="default: csv"),
    flag(
        "--for-spreadsheets",
        "CSV that is safe to open in Excel: no text is run as a formula",
    ),
    arg(
        "--output",
        default="-",
        metavar="FILE",
        help="appears only when it is complete (default: standard output)",
    ),
    about="""\
totals are the folded counts, series the sums of each bucket, events the single events that are
still kept. All rows come from one snapshot and are read in batches. Writes and folds continue.""",
    examples="""\
  manage.py counters export totals                             CSV of all counters
  manage.py counters export totals --namespace demo --output demo.csv
  manage.py counters export series --namespace demo \\
      --from 2026-01-01T00:00Z --to 2026-02-01T00:00Z
  manage.py counters export events --format ndjson | gzip > events.ndjson.gz
  manage.py counters export totals --output totals.parquet     the ending is the format
  manage.py counters export totals --output totals.csv --for-spreadsheets

Instants are in UTC. CSV and Parquet have all digits of a number; in NDJSON a number beyond 2^53 is
text, as in the API. A token is exported as it is stored: a UUID. Parquet needs the package pyarrow.

A name such as =1+1 is exported unchanged, and a spreadsheet would run it as a formula. With
--for-spreadsheets the CSV has a ' before such text, and a byte order mark. Do not import that file,
because the names in it are changed.
""",
    exit_codes="""\
0 exported; 1 refused, with the reason; 2 wrong usage; 130 stopped by Ctrl-C, no file
was written; 141 the program that read the output has ended""",
    has_json=False,
)
def export_counters(_out: Output, options: Any) -> None:
    what, output = options.what, options.output
    if what == "totals" and (options.since or options.until):
        raise Refused(
            "Totals are of now. Use --from and --to with series or events.",
            returncode=2,
        )
    ending = Path(output).suffix.removeprefix(".")
    chosen = options.format or (ending if ending in FORMATS else "csv")
    if options.for_spreadsheets and chosen != "csv":
        raise Refused(f"--for-spreadsheets is for CSV, not for {chosen}.", returncode=2)
    # A bar would be drawn over rows that appear on the same terminal.
    is_seen = output == "-" and sys.stdout.isatty()
    if chosen == "parquet" and is_seen:
        raise Refused("Parquet is not text. Give --output FILE.", returncode=2)
    batches = export.rows(
        what,
        namespace=only_namespace(options),
        since=options.since,
        until=options.until,
    )
    columns = (
        SpinnerColumn(),
        TextColumn(f"Exporting {what}"),
        TextColumn("{task.completed:,} rows"),
        TimeElapsedColumn(),
    )
    with (
        _destination(output) as stream,
        progress_bar(*columns, hidden=is_seen) as progress,
    ):
        bar = progress.add_task(what, total=None)
        writer = open_writer(
            chosen,
            stream,
            export.COLUMNS[what],
            for_spreadsheets=options.for_spreadsheets,
        )
        for batch in batches:
            writer.write(batch)
            progress.advance(bar, len(batch))
        writer.close()


@contextmanager
def _destination(output: str) -> Iterator[IO[bytes]]:
    """Yield the output stream; a file gets its name only when it is complete."""
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
        raise Refused(f"{output}: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)
