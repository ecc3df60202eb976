"""`python -m benchmarks`: this project beside its peers, in turns, on durable servers."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.report import page, plots, terminal

SUITES = [
    "hot",
    "in_request",
    "many",
    "batches",
    "trigger_share",
    "trigger_faults",
    "staleness",
    "folding",
    "sweeping",
    "reading",
    "rest",
    "rest_half",
    "disk",
    "workers",
]
# By themselves only: `memory` takes ten minutes.
ASKED_FOR = ["memory"]
QUICK_SUITES = ["hot", "in_request", "batches", "reading", "rest"]
RESULTS = Path("benchmarks/results.json")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some, once, for a look")
    parser.add_argument("--only", nargs="+", choices=[*SUITES, *ASKED_FOR])
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, help="of each turn: 3, quick 1")
    parser.add_argument("--rounds", type=int, help="turns of each peer: 3, quick 1")
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    parser.add_argument(
        "--publish",
        action="store_true",
        help=f"keep it in {RESULTS}; draw the plots and write docs/performance.md anew",
    )
    parser.add_argument(
        "--write-page",
        action="store_true",
        help="publish what is kept; measure nothing",
    )
    asked = parser.parse_args()
    if not asked.write_page:
        found = _measure(asked)
        terminal.show_targets(Console(width=180), found)
    if asked.publish or asked.write_page:
        everything = json.loads(RESULTS.read_text())
        plots.draw_all(everything)
        page.write(everything)


def _measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Return what each suite found, by its name."""
    found: dict[str, Any] = {}
    seconds = asked.seconds or (1 if asked.quick else 3)
    rounds = asked.rounds or (1 if asked.quick else 3)
    words = [f"--clients={asked.clients}", f"--seconds={seconds}", f"--rounds={rounds}"]
    words += ["--quick"] if asked.quick else []
    with tempfile.TemporaryDirectory() as directory:
        for name in asked.only or (QUICK_SUITES if asked.quick else SUITES):
            answer = Path(directory) / f"{name}.json"
            argv = [sys.executable, "-m", "benchmarks.one", name, *words]
            subprocess.run([*argv, f"--json={answer}"], check=True)
            found[name] = json.loads(answer.read_text())
            # At once: what comes next may break off.
            for path in filter(None, (asked.json, RESULTS if asked.publish else None)):
                _keep(path, name, found[name])
    return found


def _keep(path: Path, name: str, found: dict[str, Any]) -> None:
    """Write what a suite found into the file, beside what is there of others."""
    everything = json.loads(path.read_text()) if path.exists() else {}
    text = json.dumps(
        everything | {name: found}, indent=1, ensure_ascii=False, sort_keys=True
    )
    path.write_text(text + "\n")


if __name__ == "__main__":
    main()
