"""`manage.py series NAMESPACE NAME`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from counters.errors import stamp
from counters.management.base import TaughtCommand, add_json_option, instant
from counters.models import Counter, Namespace
from counters.namespaces import lookup
from rollups.reading import series
from rollups.reading.series import Series
from rollups.rest.responses import series_body

BAR_WIDTH = 30
EIGHTHS = " ▏▎▍▌▋▊▉"


class Command(TaughtCommand):
    help = (
        "Read a counter's folded sums per minute, hour or day (UTC): a table with bars on a"
        " terminal, lines of start, sum and events with tabs between them otherwise."
    )
    examples = """\
examples:
  manage.py series demo page/home                        the last 60 buckets
  manage.py series demo page/home --bucket day --gaps
  manage.py series demo page/home --bucket hour --from 2026-01-31T00:00Z --to 2026-02-01T00:00Z

exit codes: 0 read; 1 refused, with the reason; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("namespace")
        parser.add_argument("name", help="the counter's name")
        parser.add_argument(
            "--bucket",
            choices=[*series.LENGTHS],
            help="at least the namespace's bucket size, which is the default",
        )
        parser.add_argument(
            "--from",
            dest="since",
            type=instant,
            metavar="INSTANT",
            help="the first instant, with its UTC offset, such as 2026-01-31T00:00Z"
            " (default: 60 buckets before the end)",
        )
        parser.add_argument(
            "--to",
            dest="until",
            type=instant,
            metavar="INSTANT",
            help="the end, not included (default: now)",
        )
        parser.add_argument(
            "--gaps", action="store_true", help="also where nothing happened"
        )
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        namespace = lookup.get(options["namespace"])
        read = series.series(
            namespace=namespace.name,
            name=options["name"],
            bucket=options["bucket"],
            since=options["since"],
            until=options["until"],
            with_gaps=options["gaps"],
        )
        if options["json"]:
            self.write_json(series_body(read))
            return
        if not read.buckets:
            self.stderr.write(_nothing_there(read, namespace, options["name"]))
        rows = [
            (stamp(one.at), str(one.delta), str(one.events)) for one in read.buckets
        ]
        if not self.stdout.isatty():
            self.write_table((), rows)
            return
        bars = _bars([one.delta for one in read.buckets])
        self.write_table(
            (read.bucket, "sum", "events", " " * BAR_WIDTH),
            [(*row, bar.ljust(BAR_WIDTH)) for row, bar in zip(rows, bars, strict=True)],
        )


def _nothing_there(read: Series, namespace: Namespace, name: str) -> str:
    """Return why the table is empty, and the span of the counter's data."""
    empty = f"No events from {stamp(read.since)} to {stamp(read.until)}."
    counter = Counter.objects.get(namespace=namespace, name=name)
    span = series.span_of_data(counter)
    if span is None:
        return f"{empty} Nothing is folded yet."
    first, last = span
    return (
        f"{empty} The first bucket with events is {stamp(first)}, the last {stamp(last)}."
        " Give --from and --to."
    )


def _bars(values: list[int]) -> Iterator[str]:
    """Yield a bar for each value, the longest for the one farthest from 0."""
    most = max((abs(value) for value in values), default=0) or 1
    for value in values:
        full, eighths = divmod(abs(value) * BAR_WIDTH * 8 // most, 8)
        yield ("█" * full + EIGHTHS[eighths]).rstrip()
