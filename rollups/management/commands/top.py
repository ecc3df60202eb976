"""`manage.py top`: a live view of the busiest counters and of lag."""

from __future__ import annotations

import time
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from datetime import UTC
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from counters.errors import stamp
from counters.management.base import TaughtCommand, add_json_option
from counters.namespaces import lookup
from rollups.management.commands.rollup import seconds
from rollups.monitor import status
from rollups.monitor.status import Level
from rollups.reading import busiest
from rollups.reading.busiest import Busy, Top

_STYLES = {
    Level.OK: "bold green",
    Level.WARNING: "bold yellow",
    Level.CRITICAL: "bold red",
}


def rows(text: str) -> int:
    value = int(text)
    if not 1 <= value <= busiest.LOOKED_AT:
        raise ArgumentTypeError(f"{text} is not from 1 to {busiest.LOOKED_AT}")
    return value


class Command(TaughtCommand):
    help = (
        "Show the counters that are written most, live, and how far folding lags behind."
        " Rates are of events folded between two looks."
    )
    examples = """\
examples:
  manage.py top                           until Ctrl-C, every two seconds
  manage.py top --namespace demo --limit 40 --every 0.5
  manage.py top --once                    one look over two seconds, then end
  manage.py top --json | jq .busiest[0]

Where standard output is no terminal it looks once. The thousand counters that were written
last are looked at.

exit codes: 0 shown; 1 no such namespace; 2 wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--namespace", help="only this namespace's counters")
        parser.add_argument(
            "--limit", type=rows, default=20, help="counters to show (default 20)"
        )
        parser.add_argument(
            "--every",
            type=seconds,
            default=2.0,
            metavar="SECONDS",
            help="between two looks (default 2)",
        )
        parser.add_argument("--once", action="store_true", help="look once, and end")
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["namespace"]
        self._namespace = lookup.get(name) if name else None
        self._every, self._limit = options["every"], options["limit"]
        if options["json"]:
            self.write_json(_as_json(self._next(busiest.look(self._namespace))[1]))
        elif options["once"] or not self.stdout.isatty():
            self._write_once(self._next(busiest.look(self._namespace))[1])
        else:
            self._live()

    def _next(self, before: busiest.Look) -> tuple[busiest.Look, Top]:
        time.sleep(self._every)
        now = busiest.look(self._namespace)
        return now, busiest.compare(before, now, most=self._limit)

    def _live(self) -> None:
        before = busiest.look(self._namespace)
        start = busiest.compare(before, before, most=self._limit)
        try:
            with Live(_view(start), console=Console(), screen=True) as screen:
                while True:
                    before, top = self._next(before)
                    screen.update(_view(top), refresh=True)
        except KeyboardInterrupt:
            return

    def _write_once(self, top: Top) -> None:
        if self.stdout.isatty():
            screen: Any = self.stdout
            Console(file=screen).print(_view(top))
            return
        self.write_table((), [_cells(one) for one in top.busiest])


def _view(top: Top) -> Group:
    table = Table(box=SIMPLE_HEAD, expand=True)
    for title in ("events/s", "count", "events", "", "last write, UTC"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("counter", overflow="fold", ratio=1)
    for one in top.busiest:
        # As text: a name may look like rich's markup.
        rate, count, events, pending, _, name = _cells(one)
        # Shorter than for programs: on a narrow terminal the name needs the room.
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
    line.append("; ".join(troubles) or "nothing is wrong", style="dim")
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
