"""What a run found: tables for people, figures for programs."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.harness.checks import MOST_LINES
from tests.harness.trial import Outcome


def figures(outcome: Outcome, *, postgres: str, broker: str) -> dict[str, Any]:
    """Return everything as plain JSON values."""
    account = outcome.account
    steps = outcome.steps
    return {
        "seed": outcome.plan.seed,
        "postgres": postgres,
        "broker": broker,
        "good": outcome.is_good,
        "tokens": {
            "attempted": len(account.tried),
            "acknowledged": account.acknowledged,
            "unacknowledged": len(account.tried) - account.acknowledged,
            "counted": outcome.stored_events,
        },
        "answered": {
            "reads": sum(len(reads) for reads in account.reads.values()),
            "repeats": account.repeats_answered,
            "conflicts refused": account.conflicts_refused,
        },
        "attempts without an answer": dict(account.troubles.most_common()),
        "numbers": outcome.numbers,
        "ended by itself": outcome.ended_by_itself,
        "settled_seconds": _rounded(outcome.settled_seconds),
        "steps": [
            {
                "faults": [one.fault for one in done.step.faults],
                "hold_seconds": _rounded(done.step.hold_seconds),
                "acknowledged_seconds": _rounded(done.recovery.acknowledged_seconds),
                "folded_seconds": _rounded(done.recovery.folded_seconds),
            }
            for done in steps
        ],
        "violations": {
            check: lines[:MOST_LINES] for check, lines in outcome.violations.items()
        },
        "violations_found": {
            check: len(lines) for check, lines in outcome.violations.items()
        },
    }


def show(console: Console, runs: Sequence[dict[str, Any]]) -> None:
    """Print what came of all runs."""
    console.print(_table_of_runs(runs))
    if any(run["steps"] for run in runs):
        console.print(_table_of_faults(runs))
    for run in runs:
        for check, lines in run["violations"].items():
            for line in lines:
                console.print(
                    f"[red]{run['postgres']}/{run['broker']}: {check}:[/] ", end=""
                )
                console.print(line, markup=False)


def faults_of(runs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each fault: how often it came, and the recovery when it was alone."""
    times: Counter[str] = Counter()
    alone: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        for step in run["steps"]:
            times.update(step["faults"])
            label = step["faults"][0] if len(step["faults"]) == 1 else "two at once"
            alone.setdefault(label, []).append(step)
    if pairs := len(alone.get("two at once", [])):
        times["two at once"] = pairs
    return [
        {
            "fault": fault,
            "times": times[fault],
            "alone": len(alone.get(fault, [])),
            "acknowledged": _spread(alone.get(fault, []), "acknowledged_seconds"),
            "folded": _spread(alone.get(fault, []), "folded_seconds"),
        }
        for fault in sorted(times)
    ]


def _table_of_runs(runs: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="What was counted")
    for head in ("PostgreSQL", "broker", "steps", "tokens", "acknowledged"):
        table.add_column(head)
    for head in ("counted", "reads", "healed", "settled", "result"):
        table.add_column(head)
    for run in runs:
        found = sum(run["violations_found"].values())
        settled = run["settled_seconds"]
        table.add_row(
            run["postgres"],
            run["broker"],
            str(len(run["steps"])),
            f"{run['tokens']['attempted']:,}",
            f"{run['tokens']['acknowledged']:,}",
            f"{run['tokens']['counted']:,}",
            f"{run['answered']['reads']:,}",
            f"{run['numbers']['healed']:,}",
            "never" if settled is None else f"{settled:.1f} s",
            "[green]holds[/]" if run["good"] else f"[red]{found} violations[/]",
        )
    return table


def _table_of_faults(runs: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="Recovery, in seconds after the healing: median (worst)")
    table.add_column("fault")
    for head in ("times", "acknowledges", "folds"):
        table.add_column(head, justify="right")
    for row in faults_of(runs):
        table.add_row(
            row["fault"], str(row["times"]), row["acknowledged"], row["folded"]
        )
    return table


def _spread(steps: Sequence[dict[str, Any]], figure: str) -> str:
    seconds = [step[figure] for step in steps if step[figure] is not None]
    if not seconds:
        return "-"
    return f"{statistics.median(seconds):.1f} ({max(seconds):.1f})"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
