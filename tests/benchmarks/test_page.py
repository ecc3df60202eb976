"""The published page: what was found, and nothing that nobody measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as runner
from benchmarks.report import page
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


@pytest.mark.parametrize(("median", "met"), [(1.5, True), (1.6, False)])
def test_judge__says_whether_a_target_is_met(median: float, met: bool) -> None:
    [judged] = judge(found(median))

    assert (judged.target.number, judged.is_met) == (8, met)


def test_fill__writes_the_blocks_and_leaves_the_words() -> None:
    text = "before\n<!-- begin sweeping -->\nold\n<!-- end sweeping -->\nafter\n"

    once = page.fill(text, found(1.2))

    assert once.startswith("before\n<!-- begin sweeping -->\n| counters | ms |")
    assert once.endswith("<!-- end sweeping -->\nafter\n")
    assert "old" not in once
    assert page.fill(once, found(1.2)) == once


def test_published__is_what_was_measured() -> None:
    """Figures are not edited by hand: `make bench ARGS=--write-page` writes them."""
    results = json.loads((ROOT / runner.RESULTS).read_text())
    text = (ROOT / page.PAGE).read_text()

    assert page.fill(text, results) == text


def test_published__has_every_target() -> None:
    results = json.loads((ROOT / runner.RESULTS).read_text())

    judged = [one.target for one in judge(results)]

    assert judged == TARGETS
    assert {one.number for one in TARGETS} == set(range(1, 16))
