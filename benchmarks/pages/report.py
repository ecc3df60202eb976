"""What `benchmarks.pages` measured, as a table in the terminal and a page of documentation."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

HEADINGS = ["page", "first ms", "quickest ms", "median ms", "worst ms", "queries", "kB"]
LIMIT_MS = 200


@dataclass(frozen=True, slots=True)
class Timed:
    """A page: what the server took for it, and how much it said."""

    page: str
    # The first call of the process: templates are read, statements not prepared yet.
    first_ms: float
    quickest_ms: float
    median_ms: float
    worst_ms: float
    queries: int
    kilobytes: float


def table(timed: list[Timed], size: str) -> Table:
    shown = Table(title=size)
    for heading in HEADINGS:
        shown.add_column(heading, justify="left" if heading == "page" else "right")
    for one in timed:
        shown.add_row(*_cells(one))
    return shown


def page(timed: list[Timed], size: str, *, cores: int) -> str:
    slowest = max(timed, key=lambda one: one.median_ms)
    lines = [
        "# How fast the pages are",
        "",
        "Written by `python -m benchmarks.pages --write docs/performance-pages.md`, with",
        f"{size}: the time that the server takes for each page that",
        "a person opens, by Django's test client, so everything but the network. The first call",
        "reads templates and is planned anew. A counter has some events, the hottest some hundred",
        "thousand; series are kept by the minute.",
        "",
        f"The aim is {LIMIT_MS} ms. The slowest page, *{slowest.page}*, has a median of"
        f" {slowest.median_ms:.0f} ms.",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "| --- |" + " ---: |" * (len(HEADINGS) - 1),
        *("| " + " | ".join(_cells(one)) + " |" for one in timed),
        "",
        f"PostgreSQL, the test client and whatever else the machine did shared {cores} cores:",
        "the quickest turn is the nearest to what a page takes by itself.",
        "",
        "What makes it so, each held by a test on a hundred thousand counters in `tests/plans/`:",
        "",
        "- A list reads an index in every order that it offers, and never counts more than a",
        "  thousand rows.",
        "- What is pending is found from the last writes, with a look-up for each, however old",
        "  the planner's statistics are.",
        "- A beginning of a name is a range of names, so that a prepared plan can look for it.",
        "- The counts of a page are read by three statements, whatever the number of its rows.",
    ]
    return "\n".join(lines) + "\n"


def _cells(one: Timed) -> list[str]:
    times = [one.first_ms, one.quickest_ms, one.median_ms, one.worst_ms]
    return [
        one.page,
        *(f"{time:.0f}" for time in times),
        str(one.queries),
        f"{one.kilobytes:.0f}",
    ]
