"""The figures as a table in the terminal, and as a page of documentation."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

# Each row's own measure: how many times as fast as which peer.
RATIOS = {
    "add": ["update_f", "slots", "bare_insert"],
    "add_in_request": ["update_f_in_request"],
    "add_many": ["bare_insert_many"],
}
HEADINGS = ["", "events/s", "spread", "p50 ms", "p99 ms", "client CPU µs/event"]


def show(results: dict[str, dict[str, Any]], facts: dict[str, str]) -> None:
    console = Console(width=130)
    table = Table()
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for cells in rows(results):
        table.add_row(*cells)
    console.print(table)
    for line in ratios(results):
        console.print(line)
    for name, fact in facts.items():
        console.print(f"[dim]{name}: {fact}[/dim]")


def rows(results: dict[str, dict[str, Any]]) -> list[list[str]]:
    return [
        [
            one["title"],
            f"{one['events_per_second']:,.0f}",
            f"{one['least']:,.0f} to {one['most']:,.0f}",
            f"{one['p50_ms']:.2f}",
            f"{one['p99_ms']:.2f}",
            f"{one['client_cpu_us']:,.1f}",
        ]
        for one in results.values()
    ]


def ratios(results: dict[str, dict[str, Any]]) -> list[str]:
    return [
        f"{results[ours]['title']} ÷ {results[peer]['title']} ="
        f" {results[ours]['events_per_second'] / results[peer]['events_per_second']:.2f}"
        for ours, peers in RATIOS.items()
        for peer in peers
        if ours in results and peer in results
    ]


def page(results: dict[str, dict[str, Any]], facts: dict[str, str]) -> str:
    lines = [
        "# Performance",
        "",
        "Written by `make bench ARGS='--write docs/performance.md'`. Absolute figures are this",
        "machine's on that day; the ratios, measured in turns in one run, are what to compare.",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "| --- |" + " ---: |" * (len(HEADINGS) - 1),
        *("| " + " | ".join(cells) + " |" for cells in rows(results)),
        "",
        *(f"- {line}" for line in ratios(results)),
        "",
        *(f"- {name}: {fact}" for name, fact in facts.items()),
        "",
        "All clients, the worker and PostgreSQL share the cores. The rows of this project are",
        "measured with its trigger on and a worker folding. `cache.incr` keeps nothing that",
        "survives a power cut; everything else here is on the disk when it is acknowledged.",
    ]
    return "\n".join(lines) + "\n"
