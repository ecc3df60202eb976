"""The subcommand that shows the busiest counters and the lag, live."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from counters.errors import stamp
from rollups.commands.base import (
    ONLY_NAMESPACE,
    Output,
    arg,
    flag,
    only_namespace,
    seconds,
    subcommand,
    whole_number,
)
from rollups.monitor import status
from rollups.monitor.status import Level
from rollups.reading import busiest
from rollups.reading.busiest import Busy, Top

_STYLES = {
    Level.OK: "bold green",
    Level.WARNING: "bold yellow",
    Level.CRITICAL: "bold red",
}


@subcommand(
    "top",
    "Show the counters with the most writes, and the lag, live.",
    ONLY_NAMESPACE,
    arg(
        "--limit",
        type=whole_number(1, busiest.LOOKED_AT),
        default=20,
        metavar="COUNTERS",
        help="counters to show (default: %(default)s)",
    ),
    arg(
        "--every",
        type=seconds,
        default=2.0,
        metavar="SECONDS",
        help="time between two samples (default: %(default)g)",
    ),
    flag("--once", "end after the first sample"),
    about="""\
A rate counts the events that were folded between two samples. The command considers only the
thousand counters with the latest writes. If standard output is not a terminal, it ends after the
first sample.""",
    examples="""\
  manage.py counters top                           every two seconds, until Ctrl-C
  manage.py counters top --namespace demo --limit 40 --every 0.5
  manage.py counters top --once                    one sample of two seconds
  manage.py counters top --json | jq '.busiest[0]'
""",
)
def top(out: Output, options: Any) -> None:
    samples = _samples(options)
    if options.once or out.as_json or not out.is_terminal:
        next(samples)
        sampled = next(samples)
        if out.is_terminal and not out.as_json:
            out.print(_view(sampled))
        else:
            rows = [_cells(one) for one in sampled.busiest]
            out.answer_list(_as_json(sampled), (), rows)
        return
    try:
        with Live(_view(next(samples)), console=Console(), screen=True) as screen:
            for sampled in samples:
                screen.update(_view(sampled), refresh=True)
    except KeyboardInterrupt:
        return


def _samples(options: Any) -> Iterator[Top]:
    """Yield the counters without rates at once, then a sample after each pause."""
    namespace = only_namespace(options)
    before = busiest.look(namespace)
    yield busiest.compare(before, before, most=options.limit)
    while True:
        time.sleep(options.every)
        now = busiest.look(namespace)
        yield busiest.compare(before, now, most=options.limit)
        before = now


def _view(top: Top) -> Group:
    table = Table(box=SIMPLE_HEAD, expand=True)
    for title in ("events/s", "count", "events", "", "last write, UTC"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("counter", overflow="fold", ratio=1)
    for one in top.busiest:
        # As Text: a name may look like rich's markup.
        rate, count, events, pending, _, name = _cells(one)
        # Shorter than in the output for programs: a narrow terminal needs room for the name.
        last_write = f"{one.counter.last_write_at.astimezone(UTC):%d %b %H:%M:%S}"
        style = "" if one.events_per_second else "dim"
        table.add_row(
            *(Text(cell) for cell in (rate, count, events, pending, last_write, name)),
            style=style,
        )
    return Group(_headline(top), table)


def _headline(top: Top) -> Text:
    verdicts = status.judge(top.status, status.default_limits())
    level = max(verdict.level for verdict in verdicts)
    line = Text()
    line.append(f" {level.name} ", style=f"{_STYLES[level]} reverse")
    line.append(
        f"  {top.adds_per_second:,.0f} adds/s  {top.folds_per_second:,.0f} events folded/s"
        f"  {top.status.pending:,} pending  lag {top.status.lag_seconds:.2f} s\n"
    )
    troubles = [verdict.says for verdict in verdicts if verdict.level]
    line.append("; ".join(troubles) or "no problems", style="dim")
    return line


def _cells(one: Busy) -> tuple[str, str, str, str, str, str]:
    counter = one.counter
    return (
        f"{one.events_per_second:,.1f}",
        f"{counter.count:,}",
        f"{counter.events:,}",
        "pending" if counter.pending else "",
        stamp(counter.last_write_at.replace(microsecond=0)),
        f"{counter.namespace}/{counter.name}",
    )


def _as_json(top: Top) -> dict[str, Any]:
    return {
        **asdict(top.status),
        "adds_per_second": round(top.adds_per_second, 3),
        "folds_per_second": round(top.folds_per_second, 3),
        "busiest": [
            {
                "namespace": one.counter.namespace,
                "name": one.counter.name,
                "count": one.counter.count,
                "events": one.counter.events,
                "pending": one.counter.pending,
                "last_write_at": stamp(one.counter.last_write_at),
                "events_per_second": round(one.events_per_second, 3),
            }
            for one in top.busiest
        ],
    }
