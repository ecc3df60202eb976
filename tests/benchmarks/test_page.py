"""The published pages show the kept results."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as runner
from benchmarks import report
from benchmarks.results import Result, Table, figure, ratios
from benchmarks.targets import TARGETS, judge

ROOT = Path(__file__).parents[2]


def found(median: float) -> dict[str, Any]:
    made = Result("Sweep", Table(["counters", "ms"], [["1,000", "2"]]))
    made.figures["many counters ÷ few"] = figure([median])
    facts = dict.fromkeys(
        ("turns", "commit", "at", "PostgreSQL", "durability", "Python", "machine"), "x"
    )
    return {
        "sweeping": made.as_json()
        | {"facts": facts, "took_seconds": 3, "command": "make bench"}
    }


def test_ratios__compare_what_stood_side_by_side() -> None:
    assert ratios([2, 9, 4], [1, 3, 4]) == figure([2, 3, 1])
    assert figure([3, 1, 2]).median == 2


@pytest.mark.parametrize(("median", "met"), [(1.1, True), (1.2, False)])
def test_judge__says_whether_a_target_is_met(median: float, met: bool) -> None:
    [judged] = judge(found(median))

    assert (judged.target.suite, judged.is_met) == ("sweeping", met)


def test_fill__writes_the_blocks_and_leaves_the_words() -> None:
    text = "before\n<!-- begin sweeping -->\nold\n<!-- end sweeping -->\nafter\n"

    once = report.fill(text, found(1.2))

    assert once.startswith("before\n<!-- begin sweeping -->\n| counters | ms |")
    assert once.endswith("<!-- end sweeping -->\nafter\n")
    assert "old" not in once
    assert report.fill(once, found(1.2)) == once


def test_glance__has_a_row_for_each_kind_and_a_column_for_each_peer() -> None:
    results = json.loads((ROOT / runner.RESULTS).read_text())
    block = "<!-- begin glance -->\n<!-- end glance -->\n"

    _, headings, _, *rows, _ = report.fill(block, results).splitlines()

    assert headings.count("÷") == len(report.COMPARED)
    assert [row.split("|")[1].strip() for row in rows] == [
        title for title, *_ in report.GLANCE
    ]


def test_published__is_what_was_measured() -> None:
    """Nobody edits figures by hand: `make bench ARGS=--write-page` writes them."""
    results = json.loads((ROOT / runner.RESULTS).read_text())

    for page in report.PAGES:
        text = (ROOT / page).read_text()
        assert report.fill(text, results) == text


def test_published__shows_every_suite() -> None:
    text = "".join((ROOT / page).read_text() for page in report.PAGES)

    assert [
        name for name in runner.SUITES if f"<!-- begin {name} -->" not in text
    ] == []


def test_judge__takes_the_worst_figure() -> None:
    [rest] = [one for one in TARGETS if one.what.startswith("REST adds ÷")]
    hot, uniform = (asdict(figure([value])) for value in (2.5, 1.5))

    worst = rest.worst(dict(zip(rest.figures, (hot, uniform), strict=True)))

    assert worst == figure([1.5])


def test_published__has_every_target() -> None:
    results = json.loads((ROOT / runner.RESULTS).read_text())

    judged = [one.target for one in judge(results)]

    assert judged == TARGETS
