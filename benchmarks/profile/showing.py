"""The table of a profile."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

# Less than this of the whole is not worth a line.
SMALLEST_SHARE = 0.01


def show(
    title: str,
    *,
    steps: int,
    python_seconds: float,
    shares: Mapping[str, float],
    postgres_seconds: Mapping[str, float],
    wall_seconds: float,
) -> None:
    """Print the CPU of a step: Python's by group, PostgreSQL's by kind of process.

    `shares` are the groups' of the wall time.
    """
    table = Table(title=title)
    for head in ("where", "CPU us a step", "share"):
        table.add_column(head, justify="left" if head == "where" else "right")
    everything = python_seconds + sum(postgres_seconds.values())

    def row(where: str, seconds: float) -> None:
        if seconds >= SMALLEST_SHARE * everything:
            table.add_row(
                where, f"{seconds / steps * 1e6:.1f}", f"{seconds / everything:.0%}"
            )

    row("Python", python_seconds)
    groups = {group: share * wall_seconds for group, share in shares.items()}
    # Sending, receiving and being woken, which no sample of Python shows.
    groups["the kernel"] = python_seconds - sum(groups.values())
    for group, seconds in sorted(groups.items(), key=lambda one: -one[1]):
        row(f"  {group}", seconds)
    for kind, seconds in sorted(postgres_seconds.items(), key=lambda one: -one[1]):
        row(f"PostgreSQL: {kind}", seconds)
    table.add_section()
    table.add_row("all", f"{everything / steps * 1e6:.1f}", "100%")
    table.add_row("steps", f"{steps:,}", "")
    table.add_row("wall time a step, us", f"{wall_seconds / steps * 1e6:.1f}", "")
    Console(width=88).print(table)
