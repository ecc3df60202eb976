"""`manage.py rollup [--watch]`."""

from __future__ import annotations

import math
import signal
import time
from argparse import ArgumentParser, ArgumentTypeError
from types import FrameType
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

from counters.errors import counted
from counters.management.base import TaughtCommand, progress_bar
from rollups import conf
from rollups.folding import sweep
from rollups.folding.drain import drain
from rollups.monitor import heartbeat, samples, status


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise ArgumentTypeError(f"{text} is not between 0 and 3600 seconds")
    return value


class Command(TaughtCommand):
    help = (
        "Fold what is pending, straight from PostgreSQL: no broker, no worker, no beat is"
        " needed. Any number of these, and workers beside them, may run at once."
    )
    examples = """\
examples:
  manage.py rollup               fold what is pending now, and end
  manage.py rollup --watch       keep folding until Ctrl-C
  manage.py rollup --watch --every 0.1
      look ten times a second: staleness of about 0.1 s, for one small query each time
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--watch", action="store_true", help="go on until Ctrl-C")
        parser.add_argument(
            "--every",
            type=seconds,
            default=0.5,
            metavar="SECONDS",
            help="with --watch: the pause between two looks (default 0.5)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["watch"]:
            counters, events = self._drain_with_progress()
            self.stdout.write(
                f"Folded {counted(events, 'event')} of {counted(counters, 'counter')}."
            )
            return
        # A service manager stops this as Ctrl-C does.
        signal.signal(signal.SIGTERM, _interrupt)
        self.stdout.write("Watching for pending counters; Ctrl-C stops.")
        try:
            self._watch(options["every"])
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")

    def _watch(self, pause_seconds: float) -> None:
        heartbeat.start(heartbeat.WATCH)
        recorded_at = -math.inf
        while True:
            try:
                events = sum(step.events for step in drain())
                # In place of beat, which may not run: otherwise the status would miss a sweep.
                if time.monotonic() - recorded_at >= conf.sweep_period_seconds() / 2:
                    recorded_at = time.monotonic()
                    sweep.record_watch()
                    samples.take()
            except (OperationalError, InterfaceError) as error:
                self.stderr.write(
                    f"The database does not answer, trying again: {error}"
                )
                connection.close()
                events = 0
            if events and self.verbosity > 1:
                self.stdout.write(f"Folded {counted(events, 'event')}.")
            time.sleep(pause_seconds)

    def _drain_with_progress(self) -> tuple[int, int]:
        counters = events = 0
        columns = (
            TextColumn("Folding"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("counters"),
        )
        with progress_bar(*columns) as progress:
            bar = progress.add_task("fold", total=status.measure().pending)
            for step in drain():
                counters += step.counters
                events += step.events
                progress.advance(bar, step.counters)
        return counters, events

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.verbosity: int = options["verbosity"]
        return super().execute(*args, **options)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
