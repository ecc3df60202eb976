"""The harness on a service whose folds are wrong: it must say so, and of what kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.harness import stack, trial
from tests.harness.broken_worker import KINDS
from tests.harness.stack import Choice, Stack
from tests.harness.trial import Plan

pytestmark = [pytest.mark.faults, pytest.mark.own_brokers, pytest.mark.timeout(300)]
# What each run does: a writer stays in its transaction while the hot counter is folded.
HELD = ("transaction held",)
EXACT = "rollup = sum of events"


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    """One service for all runs, on Valkey; each run has workers and a namespace of its own."""
    choice = Choice(postgres="embedded", broker="valkey", small_disk=False)
    # Not below pytest's own directory: each session of pytest shuts that again, and
    # PostgreSQL runs as another user than root.
    with (
        TemporaryDirectory(prefix="counters-broken-") as directory,
        stack.running(choice, Path(directory)) as running,
    ):
        yield running


def run(running: Stack, namespace: str) -> dict[str, list[str]]:
    plan = Plan(
        seed="5",
        namespace=namespace,
        steps=2,
        faults=HELD,
        most_hold_seconds=0.4,
        clients=2,
        rate=20,
    )
    outcome = trial.run(running, plan)
    assert outcome.is_good is not any(outcome.violations.values())
    return {check: lines for check, lines in outcome.violations.items() if lines}


def test_harness__finds_nothing_wrong_with_the_real_fold(running: Stack) -> None:
    assert run(running, "real") == {}


@pytest.mark.parametrize("kind", KINDS)
def test_harness__catches_a_broken_fold(running: Stack, kind: str) -> None:
    with running.other_workers("-m", "tests.harness.broken_worker", kind):
        found = run(running, kind)

    assert found.keys() >= {EXACT}
    if kind != "early-snapshot":
        # The clients themselves see counts that cannot be. The early snapshot is wrong on
        # a few counters only, and it is chance whether one of them is read.
        assert "reads within bounds" in found
