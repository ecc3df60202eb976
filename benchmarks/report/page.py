"""What was found, in docs/performance.md: its tables stand between marks, and only they
are written anew. What is around them is written by people.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report.plots import IMAGES
from benchmarks.results import short
from benchmarks.targets import judge

PAGE = Path("docs/performance.md")


def write(found: Mapping[str, Any]) -> None:
    """Fill every block of the page; raise KeyError for one that nothing was found for."""
    PAGE.write_text(fill(PAGE.read_text(), found))


def fill(text: str, found: Mapping[str, Any]) -> str:
    """Return the page with its blocks written anew."""

    def block(mark: re.Match[str]) -> str:
        name = mark["name"]
        lines = _targets(found) if name == "targets" else _suite(name, found[name])
        body = "\n".join(lines)
        return f"<!-- begin {name} -->\n{body}\n<!-- end {name} -->"

    marks = r"<!-- begin (?P<name>\w+) -->.*?<!-- end (?P=name) -->"
    return re.sub(marks, block, text, flags=re.DOTALL)


def _targets(found: Mapping[str, Any]) -> Iterable[str]:
    rows = [
        [
            str(one.target.number),
            one.target.what,
            one.target.wanted,
            one.measured,
            "met" if one.is_met else "**missed**",
            one.target.next_bar,
        ]
        for one in judge(found)
    ]
    headings = [
        "#",
        "what",
        "wanted",
        "measured: median (least to most)",
        "",
        "next bar",
    ]
    return _table(headings, rows)


def _suite(name: str, suite: Mapping[str, Any]) -> Iterable[str]:
    yield from _table(suite["table"]["headings"], suite["table"]["rows"])
    if suite["figures"]:
        yield ""
        rows = [
            [
                key,
                f"{short(one['median'])}",
                f"{short(one['least'])} to {short(one['most'])}",
            ]
            for key, one in suite["figures"].items()
        ]
        yield from _table(["ratio or figure", "median", "least to most"], rows)
    for picture in sorted(IMAGES.glob(f"{name}*.svg")):
        if picture.stem.rpartition("-")[0] in {name, ""} or picture.stem == name:
            yield ""
            yield f"![{suite['title']}: {picture.stem}]({picture.relative_to(PAGE.parent)})"
    facts = suite["facts"]
    yield ""
    yield (
        f"`{suite['command']}` took {suite['took_seconds']} s; {facts['turns']};"
        f" commit {facts['commit']}, {facts['at']}; PostgreSQL {facts['PostgreSQL']};"
        f" {facts['durability']}; Python {facts['Python']}; {facts['machine']}."
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield "| " + " | ".join(headings) + " |"
    yield "| --- |" + " ---: |" * (len(headings) - 1)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
