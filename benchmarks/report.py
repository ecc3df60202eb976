"""Reports: tables in the terminal, and the tables and plots of the docs.

In the docs the tables stand between marks, and only they are written by this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from rich.console import Console
from rich.table import Table

from benchmarks.results import Result, short
from benchmarks.targets import judge

mpl.use("svg")

import matplotlib.pyplot as plt

PAGES = [Path("docs/performance.md"), Path("docs/scaling.md")]
IMAGES = Path("docs/images/performance")
DRAWN = ["hot", "rest"]
# The first table: each kind of write and read, its suite and its peer's key.
GLANCE = [
    ("Add, one hot counter", "hot", "add, hot"),
    ("Add with a token, one hot counter", "hot", "add_with_token, hot"),
    ("Add inside a transaction of 5 ms", "in_request", "add_in_request, hot"),
    ("Add, 100,000 counters", "many", "add, uniform"),
    ("Add, 100,000 counters by Zipf's law", "many", "add, zipf"),
    ("Batch of 1,000", "batches", "add_many, hot"),
    ("Batch of 1,000 with tokens", "batches", "add_many_with_tokens, hot"),
    ("REST add, one hot counter", "rest", "rest_add, hot"),
    ("REST add, 100,000 counters", "rest", "rest_add, uniform"),
    ("REST read, 100,000 counters", "rest", "rest_read, uniform"),
]
COMPARED = {
    "÷ F": ("update_f", "update_f_in_request"),
    "÷ 16 rows": ("slots",),
    "÷ Redis, not durable": ("buffered",),
    "÷ the limit": (
        "bare_insert",
        "bare_insert_many",
        "bare_insert_many_with_tokens",
    ),
    "÷ the plainest DRF view": ("plain_add", "plain_read"),
}
# Told apart without red and green.
OURS, THEIRS = "#0072b2", "#b0b7bf"

# The same file for the same figures: no date in it, no random ids.
mpl.rcParams |= {
    "svg.hashsalt": "counters",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "figure.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def show(console: Console, result: Result) -> None:
    """Print the result of one benchmark."""
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


def show_targets(console: Console, found: Mapping[str, Any]) -> None:
    """Print the targets that this run measured."""
    table = Table(title="Targets", title_justify="left")
    for heading in ("what", "goal", "measured", ""):
        table.add_column(heading)
    for one in judge(found):
        word = "[green]met[/green]" if one.is_met else "[red]missed[/red]"
        measured = one.measured + one.target.unit
        table.add_row(one.target.what, one.target.wanted, measured, word)
    console.print(table)


def write_pages(found: Mapping[str, Any]) -> None:
    """Fill every block of the docs and draw their plots."""
    for name in DRAWN:
        _draw_rates(name, found[name])
    for page in PAGES:
        page.write_text(fill(page.read_text(), found))


def fill(text: str, found: Mapping[str, Any]) -> str:
    """Return the page with new blocks; raise KeyError if a block has no result."""

    def block(mark: re.Match[str]) -> str:
        name = mark["name"]
        lines = BLOCKS[name](found) if name in BLOCKS else _suite(found[name])
        body = "\n".join(lines)
        return f"<!-- begin {name} -->\n{body}\n<!-- end {name} -->"

    marks = r"<!-- begin (?P<name>\w+) -->.*?<!-- end (?P=name) -->"
    return re.sub(marks, block, text, flags=re.DOTALL)


def _glance(found: Mapping[str, Any]) -> Iterable[str]:
    """Compare what we do with each peer: the medians only."""
    rows = []
    for title, suite, ours in GLANCE:
        figures, load = found[suite]["figures"], ours.partition(", ")[2]
        row = [title]
        for peers in COMPARED.values():
            keys = [f"{ours} ÷ {peer}, {load}" for peer in peers]
            known = [short(figures[key]["median"]) for key in keys if key in figures]
            row.append("".join(known))
        rows.append(row)
    return _table(["", *COMPARED], rows)


def _targets(found: Mapping[str, Any]) -> Iterable[str]:
    rows = [
        [
            one.target.what,
            one.measured + one.target.unit,
            one.target.wanted,
            "met" if one.is_met else "**missed**",
        ]
        for one in judge(found)
    ]
    return _table(
        ["what you get", "measured: median (least to most)", "goal", ""], rows
    )


def _runs(found: Mapping[str, Any]) -> Iterable[str]:
    """Say when and where each benchmark ran."""
    rows = []
    for name, suite in found.items():
        facts = suite["facts"]
        server = facts["PostgreSQL"].partition(",")[0]
        took = f"{suite['took_seconds']} s"
        turns = facts["turns"].partition(" each")[0]
        row = [name, took, turns, facts["commit"], facts["at"][:10], server]
        rows.append([*row, facts["machine"]])
    headings = ["suite", "took", "turns", "commit", "date", "PostgreSQL", "machine"]
    return _table(headings, rows)


BLOCKS = {"glance": _glance, "targets": _targets, "runs": _runs}


def _suite(suite: Mapping[str, Any]) -> Iterable[str]:
    yield from _table(suite["table"]["headings"], suite["table"]["rows"])
    # Other tables show their figures themselves.
    if suite["rates"] and suite["figures"]:
        yield ""
        rows = [
            [
                key,
                short(one["median"]),
                f"{short(one['least'])} to {short(one['most'])}",
            ]
            for key, one in suite["figures"].items()
        ]
        yield from _table(["ratio or figure", "median", "least to most"], rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[str]:
    kept = [i for i in range(len(headings)) if any(row[i] for row in rows)]
    yield "| " + " | ".join(headings[i] for i in kept) + " |"
    yield "| --- |" + " ---: |" * (len(kept) - 1)
    for row in rows:
        yield "| " + " | ".join(row[i] for i in kept) + " |"


def _draw_rates(name: str, suite: Mapping[str, Any]) -> None:
    fastest = sorted(suite["rates"].items(), key=lambda one: -one[1]["median"])
    # Beside a batch, single adds would not be seen.
    rates = {title: one for title, one in fastest if "each" not in title}
    figure, axes = plt.subplots(figsize=(9, 0.8 + 0.45 * len(rates)))
    middles = [one["median"] for one in rates.values()]
    reach = [
        [one["median"] - one["least"] for one in rates.values()],
        [one["most"] - one["median"] for one in rates.values()],
    ]
    colours = [OURS if "this project" in title else THEIRS for title in rates]
    axes.barh(
        list(rates), middles, xerr=reach, color=colours, ecolor="#444444", capsize=3
    )
    axes.invert_yaxis()
    axes.set_xlabel("events/s: median of the turns, least and most")
    axes.set_title(suite["title"], loc="left")
    IMAGES.mkdir(parents=True, exist_ok=True)
    path = IMAGES / f"{name}-rate.svg"
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
