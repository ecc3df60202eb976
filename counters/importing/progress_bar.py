"""What a person at a terminal sees: share of the file, events, rate, time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

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

from counters.importing.input import Input
from counters.importing.resume import Totals


class Quiet:
    """No bar: stderr is not a terminal. Messages are plain lines."""

    def say(self, message: str) -> None:
        sys.stderr.write(f"{message}\n")

    def advance(self, totals: Totals) -> None:
        pass


class Bar(Quiet):
    """A bar that stays below the messages."""

    def __init__(
        self, progress: Progress, task: TaskID, source: Input, before: int
    ) -> None:
        self._progress = progress
        self._task = task
        self._source = source
        # Events of the interrupted import: not part of this run's rate.
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
