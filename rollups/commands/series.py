"""The subcommand that shows a counter's sums over time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from counters.errors import stamp
from counters.models import Counter
from counters.namespaces import lookup
from counters.recording import names
from rollups.commands.base import (
    COUNTER,
    Output,
    arg,
    flag,
    span_arguments,
    subcommand,
)
from rollups.reading import series as reading
from rollups.reading.series import Series
from rollups.rest.schemas import series_body

_BAR_WIDTH = 30
_EIGHTHS = " ▏▎▍▌▋▊▉"


@subcommand(
    "series",
    "Show a counter's folded sums for each minute, hour or day (UTC).",
    *COUNTER,
    arg(
        "--bucket",
        choices=[*reading.LENGTHS],
        help="at least the namespace's bucket size, which is the default",
    ),
    *span_arguments("60 buckets before the end", "now"),
    flag("--gaps", "show buckets without events, too"),
    about="""\
Prints a table with bars on a terminal. Elsewhere it prints lines of start, sum and events,
separated by tabs.""",
    examples="""\
  manage.py counters series demo page/home                        the last 60 buckets
  manage.py counters series demo page/home --bucket day --gaps
  manage.py counters series demo page/home --bucket hour \\
      --from 2026-01-31T00:00Z --to 2026-02-01T00:00Z
""",
)
def series(out: Output, options: Any) -> None:
    read = reading.series(
        namespace=options.namespace,
        name=options.name,
        bucket=options.bucket,
        since=options.since,
        until=options.until,
        with_gaps=options.gaps,
    )
    if not read.buckets and not out.as_json:
        out.warn(_explain_no_buckets(read, options))
    columns = (read.bucket, "sum", "events", " " * _BAR_WIDTH)
    bars = _bars([one.delta for one in read.buckets]) if out.is_terminal else None
    rows = [
        (
            stamp(one.at),
            str(one.delta),
            str(one.events),
            *([next(bars).ljust(_BAR_WIDTH)] if bars else []),
        )
        for one in read.buckets
    ]
    out.answer_list(series_body(read), columns, rows)


def _explain_no_buckets(read: Series, options: Any) -> str:
    """Say that the span has no events, and where the counter's events are."""
    empty = f"No events from {stamp(read.since)} to {stamp(read.until)}."
    counter = Counter.objects.get(
        namespace=lookup.get(options.namespace), name=names.check(options.name)
    )
    span = reading.span_of_data(counter)
    if span is None:
        return f"{empty} Nothing is folded yet."
    first, last = span
    return (
        f"{empty} The first bucket with events is {stamp(first)}, the last {stamp(last)}."
        " Give --from and --to."
    )


def _bars(values: list[int]) -> Iterator[str]:
    """Yield a bar for each value; the value farthest from 0 gets the full width."""
    most = max((abs(value) for value in values), default=0) or 1
    for value in values:
        full, eighths = divmod(abs(value) * _BAR_WIDTH * 8 // most, 8)
        yield ("█" * full + _EIGHTHS[eighths]).rstrip()
