"""Shows the greatest counters of a kind."""

from __future__ import annotations

from collections.abc import Sequence

from rich.bar import Bar
from rich.console import Console
from rich.table import Table

from counters_project.demo.compare import Compared

TOP = 10


def show_top(kind: str, compared: Sequence[Compared], console: Console) -> None:
    """Print the ten counters whose names begin with `kind/` that count most."""
    chosen = [one for one in compared if one.name.startswith(f"{kind}/")]
    chosen.sort(key=lambda one: (-one.eventual, one.name))
    table = Table(
        box=None, show_header=False, title=f"Departures by {kind}", title_justify="left"
    )
    table.add_column()
    table.add_column(justify="right")
    table.add_column(width=40)
    for one in chosen[:TOP]:
        bar = Bar(chosen[0].eventual, 0, one.eventual, width=40, color="cyan")
        table.add_row(one.name.removeprefix(f"{kind}/"), f"{one.eventual:,}", bar)
    console.print()
    console.print(table)
