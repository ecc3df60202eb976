"""Turns the figures of runs into the tables of docs/reliability.md.

`python -m tests.harness.page FIGURES.json` prints them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.harness import report

_VERSIONS = {"embedded": "18", "15": "15"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.harness.page", description=__doc__)
    parser.add_argument("figures", type=Path, help="what --json wrote")
    runs = json.loads(parser.parse_args().figures.read_text())
    Console(width=500, highlight=False).print("\n".join(lines(runs)), markup=False)


def lines(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Return the page's two tables."""
    return [*_counted(runs), "", *_recovered(runs)]


def _counted(runs: Sequence[dict[str, Any]]) -> list[str]:
    heads = ["PostgreSQL", "broker", "faults", "attempted", "acknowledged", "counted"]
    heads += [
        "reads",
        "repeats answered",
        "attempts unanswered",
        "healed",
        "violations",
    ]
    return _table(heads, map(_row_of_run, runs))


def _row_of_run(run: dict[str, Any]) -> list[object]:
    tokens, answered = run["tokens"], run["answered"]
    return [
        _VERSIONS[run["postgres"]],
        run["broker"],
        sum(len(step["faults"]) for step in run["steps"]),
        f"{tokens['attempted']:,}",
        f"{tokens['acknowledged']:,}",
        f"{tokens['counted']:,}",
        f"{answered['reads']:,}",
        f"{answered['repeats']:,}",
        f"{sum(run['attempts without an answer'].values()):,}",
        f"{run['numbers']['healed']:,}",
        sum(run["violations_found"].values()),
    ]


def _recovered(runs: Sequence[dict[str, Any]]) -> list[str]:
    heads = ["fault", "times", "alone", "acknowledges after", "folds after"]
    rows = report.faults_of(runs)
    keys = ("fault", "times", "alone", "acknowledged", "folded")
    return _table(heads, ([row[key] for key in keys] for row in rows))


def _table(heads: Sequence[str], rows: Iterable[Iterable[object]]) -> list[str]:
    table = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(str(cell) for cell in row)} |" for row in table]


if __name__ == "__main__":
    main()
