"""The figures of a run, as programs and people get them."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from tests.harness import options, page, report
from tests.harness.ledger import Account, Tried
from tests.harness.recovery import Recovery
from tests.harness.schedule import Planned, Step
from tests.harness.trial import Done, Outcome, Plan


def done(*faults: str, folded: float | None) -> Done:
    step = Step(0.1, 2.0, tuple(Planned(fault, 0.5) for fault in faults))
    return Done(step, Recovery(1.0, folded))


@pytest.fixture
def outcome() -> Outcome:
    tried = [Tried("x", "a", 5, began=1, ended=2), Tried("x", "b", 7, began=3)]
    return Outcome(
        plan=Plan(seed="7"),
        account=Account(tried={(one.name, one.token): one for one in tried}),
        stored_events=2,
        steps=[
            done("web killed", folded=2.0),
            done("web killed", folded=4.0),
            done("web killed", "disk full", folded=None),
        ],
        settled_seconds=0.5,
        violations={"acknowledged = counted": [], "rollup = sum of events": []},
        numbers={"healed": 3},
    )


def figures(outcome: Outcome) -> dict[str, Any]:
    return report.figures(outcome, postgres="15", broker="valkey")


def test_figures__are_plain_and_say_how_to_replay(outcome: Outcome) -> None:
    run = json.loads(json.dumps(figures(outcome)))

    assert (run["seed"], run["postgres"], run["broker"]) == ("7", "15", "valkey")
    assert run["good"]
    assert run["tokens"] == {
        "attempted": 2,
        "acknowledged": 1,
        "unacknowledged": 1,
        "counted": 2,
    }


def test_recovery__is_of_faults_that_came_alone(outcome: Outcome) -> None:
    rows = {row["fault"]: row for row in report.faults_of([figures(outcome)])}

    assert (rows["web killed"]["times"], rows["web killed"]["alone"]) == (3, 2)
    assert rows["web killed"]["folded"] == "3.0 (4.0)"
    assert (rows["disk full"]["times"], rows["disk full"]["folded"]) == (1, "-")
    assert rows["two at once"]["times"] == 1


def test_violation__is_shown_and_counted(outcome: Outcome) -> None:
    outcome.violations["acknowledged = counted"] = [f"lost: {n}" for n in range(50)]

    run = figures(outcome)
    shown = StringIO()
    report.show(Console(file=shown, width=120), [run])

    assert not run["good"]
    assert run["violations_found"]["acknowledged = counted"] == 50
    assert "lost: 7" in shown.getvalue()
    assert "50 violations" in shown.getvalue()


def test_page__has_a_row_for_each_run_and_fault(outcome: Outcome) -> None:
    lines = page.lines([figures(outcome)] * 2)

    assert sum(line.startswith("| 15 | valkey | 4 |") for line in lines) == 2
    assert "| web killed | 6 | 4 | 1.0 (1.0) | 3.0 (4.0) |" in lines


def test_options__are_every_pair_unless_told_otherwise() -> None:
    assert len(options.combinations(options.parse([]))) == 4
    only = options.parse(["--broker", "valkey", "--postgres", "15", "--seed", "7"])
    assert options.combinations(only) == [("15", "valkey")]
    assert only.seed == "7"


@pytest.mark.parametrize("words", [["--seconds", "0"], ["--faults", "rain"]])
def test_options__refuse_what_makes_no_sense(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options.parse(words)

    assert ended.value.code == 2
