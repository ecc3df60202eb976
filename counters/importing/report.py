"""Report an import's progress and summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from counters.durations import format_duration
from counters.errors import counted
from counters.importing.input import Input
from counters.importing.options import Options
from counters.importing.resume import Totals
from counters.importing.run import Outcome
from counters.models import Namespace


class Summary(TypedDict):
    """The summary of an import, as `--json` prints it."""

    file: str
    namespace: str
    dry_run: bool
    # False if the import stopped at --max-rejects, after this line.
    complete: bool
    stopped_after_line: int | None
    rows: int
    events: int
    added: int
    duplicates: int
    # Duplicates after a row that was new; 0 if --key or --token identifies rows.
    late_duplicates: int
    # The last line's number if it has no line end; None for NDJSON, where half an object is not a row.
    unfinished_line: int | None
    rejected_rows: int
    rejects_file: str | None
    older_than_retention: int
    partitions_made: int
    seconds: float
    events_per_second: int


def summarise(options: Options, outcome: Outcome) -> Summary:
    totals = outcome.totals
    return {
        "file": options.file,
        "namespace": options.namespace,
        "dry_run": options.dry_run,
        "complete": outcome.stopped_after_line is None,
        "stopped_after_line": outcome.stopped_after_line,
        "rows": totals.rows,
        "events": totals.events,
        "added": totals.added,
        "duplicates": totals.duplicates,
        "late_duplicates": (
            0 if options.key or options.token is not None else totals.late_duplicates
        ),
        "unfinished_line": outcome.unfinished_line,
        "rejected_rows": totals.rejected,
        "rejects_file": str(options.rejects_file) if totals.rejected else None,
        "older_than_retention": totals.older_than_retention,
        "partitions_made": outcome.partitions_made,
        "seconds": round(totals.seconds, 3),
        "events_per_second": round(totals.events / max(totals.seconds, 0.001)),
    }


def as_text(summary: Summary, namespace: Namespace) -> str:
    """Return a table, followed by advice on what to do next."""
    added = "events that would be added" if summary["dry_run"] else "events added"
    figures = [
        ("rows read", f"{summary['rows']:,}"),
        (added, f"{summary['events' if summary['dry_run'] else 'added']:,}"),
        ("duplicates", f"{summary['duplicates']:,}"),
        ("rows rejected", f"{summary['rejected_rows']:,}"),
        ("seconds", f"{summary['seconds']:,.1f}"),
        ("events per second", f"{summary['events_per_second']:,}"),
    ]
    if summary["dry_run"]:
        # Nothing was written, so nothing is known about duplicates.
        del figures[2]
    width = max(len(name) for name, _ in figures)
    lines = [f"{name:<{width}}  {figure:>12}" for name, figure in figures]
    return "\n".join([*lines, *_advice(summary, namespace)])


def _advice(summary: Summary, namespace: Namespace) -> list[str]:
    advice = []
    if line := summary["stopped_after_line"]:
        counted_rows = (
            "" if summary["dry_run"] else " The good rows up to it are counted."
        )
        advice.append(
            f"Stopped at --max-rejects: the rows after line {line:,} were not read."
            f"{counted_rows}"
        )
    if rejects := summary["rejects_file"]:
        command = f"manage.py counters import {Path(rejects)}"
        advice.append(
            f"Rejected rows are in {rejects}, each with its reason. Correct them there and"
            f" import that file with the same options: {command} ..."
        )
    if late := summary["late_duplicates"]:
        advice.append(
            f"{counted(late, 'duplicate')} came after rows that were new. A file that grew at its"
            " end has its duplicates first. Perhaps another file with the same name had an equal"
            " row on the same line: then give --key, --token or --source."
        )
    if line := summary["unfinished_line"]:
        advice.append(
            f"Line {line:,}, the last one, has no line end and was read as it is. If the rest"
            " of it is still to come, the whole line will be another row and count in addition:"
            " import the file only when its last line is complete."
        )
    if old := summary["older_than_retention"]:
        advice.append(
            f"{counted(old, 'event')} older than the retention of namespace {namespace.name!r}"
            f" ({format_duration(namespace.retention)}). Such an event counts, but housekeeping may"
            " drop it once it is folded, and then importing it again counts again. To keep"
            " such events, raise the retention."
        )
    return advice


class Quiet:
    """Print messages as plain lines, if standard error is not a terminal."""

    def say(self, message: str) -> None:
        sys.stderr.write(f"{message}\n")

    def advance(self, totals: Totals) -> None:
        pass


class Bar(Quiet):
    """Show a progress bar below the messages."""

    def __init__(
        self, progress: Progress, task: TaskID, source: Input, before: int
    ) -> None:
        self._progress = progress
        self._task = task
        self._source = source
        # Events of the interrupted import do not belong to this run's rate.
        self._before = before
        self._started = time.monotonic()

    def say(self, message: str) -> None:
        self._progress.console.print(
            message, markup=False, highlight=False, soft_wrap=True
        )

    def advance(self, totals: Totals) -> None:
        seconds = max(time.monotonic() - self._started, 0.001)
        self._progress.update(
            self._task,
            completed=self._source.bytes_read(),
            events=totals.events,
            rate=(totals.events - self._before) / seconds,
        )


@contextmanager
def shown(source: Input, *, events_before: int) -> Iterator[Quiet]:
    """Show a bar while the block runs, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield Quiet()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[events]:,} events"),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(
            source.name,
            total=source.size,
            completed=source.bytes_read(),
            events=events_before,
            rate=0.0,
        )
        yield Bar(progress, task, source, events_before)
