"""What was found, as tables in the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.results import Result
from benchmarks.targets import judge


def show(console: Console, result: Result) -> None:
    table = Table(title=result.title, title_justify="left")
    for heading in result.table.headings:
        table.add_column(
            heading,
            justify="right" if table.columns else "left",
            no_wrap=not table.columns,
            overflow="fold",
        )
    for row in result.table.rows:
        table.add_row(*row)
    console.print(table)
    for name, figure in result.figures.items():
        console.print(f"{name} = {figure}", highlight=False)
    console.print()


def show_targets(console: Console, found: dict[str, Any]) -> None:
    """Show what the targets say of what was measured now."""
    table = Table(title="Targets", title_justify="left")
    for heading in ("#", "what", "wanted", "measured", ""):
        table.add_column(heading)
    for one in judge(found):
        word = "[green]met[/green]" if one.is_met else "[red]missed[/red]"
        target = one.target
        table.add_row(
            str(target.number), target.what, target.wanted, one.measured, word
        )
    console.print(table)
