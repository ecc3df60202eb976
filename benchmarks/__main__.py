"""Measure this project side by side with its peers, on durable servers."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import report, servers

# Each suite, and the module of benchmarks.suites that has it as a function.
SUITES = {
    "hot": "adds",
    "hot_processes": "adds",
    "in_request": "adds",
    "many": "adds",
    "batches": "adds",
    "writers": "adds",
    "trigger_share": "trigger",
    "trigger_faults": "trigger",
    "staleness": "staleness",
    "folding": "folding",
    "sweeping": "folding",
    "workers": "folding",
    "reading": "reading",
    "rest": "rest",
    "rest_half": "rest",
    "importing": "importing",
    "disk": "disk",
    "memory": "memory",
}
# Only if asked for: it takes ten minutes.
ASKED_FOR = {"memory"}
QUICK_SUITES = ["hot", "batches", "reading", "rest", "staleness", "disk"]
RESULTS = Path("benchmarks/results.json")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few suites, one turn")
    parser.add_argument(
        "--only", nargs="+", choices=SUITES, help="measure these suites"
    )
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--processes", type=int, default=4, help="share the clients")
    parser.add_argument("--seconds", type=float, help="of each turn: 3, quick 1")
    parser.add_argument("--rounds", type=int, help="turns of each peer: 3, quick 1")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument(
        "--publish",
        action="store_true",
        help=f"keep the results in {RESULTS}; write the tables and plots of the docs",
    )
    parser.add_argument(
        "--write-page",
        action="store_true",
        help="write the tables and plots from the kept results; measure nothing",
    )
    parser.add_argument("--one", choices=SUITES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    asked.seconds = asked.seconds or (1 if asked.quick else 3)
    asked.rounds = asked.rounds or (1 if asked.quick else 3)
    if asked.one:
        _measure(asked)
        return
    if not asked.write_page:
        report.show_targets(Console(width=180), _measure_all(asked))
    if asked.publish or asked.write_page:
        report.write_pages(json.loads(RESULTS.read_text()))


def _measure_all(asked: argparse.Namespace) -> dict[str, Any]:
    """Run each suite in a process with servers of its own; return the results."""
    default = [name for name in SUITES if name not in ASKED_FOR]
    names = asked.only or (QUICK_SUITES if asked.quick else default)
    passed = ("clients", "processes", "seconds", "rounds")
    words = [f"--{word}={getattr(asked, word)}" for word in passed]
    words += ["--quick"] if asked.quick else []
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as directory:
        for name in names:
            answer = Path(directory) / f"{name}.json"
            argv = [sys.executable, "-m", "benchmarks", f"--one={name}", *words]
            subprocess.run([*argv, f"--json={answer}"], check=True)
            found[name] = json.loads(answer.read_text())
            # At once: a later suite may fail.
            for path in filter(None, (asked.json, RESULTS if asked.publish else None)):
                _keep(path, name, found[name])
    return found


def _measure(asked: argparse.Namespace) -> None:
    """Run one suite; write its result to `--json`."""
    console = Console(width=180)
    with servers.prepared():
        # Django must be set up before these are imported.
        suites: Any = import_module(f"benchmarks.suites.{SUITES[asked.one]}")
        turns: Any = import_module("benchmarks.turns")
        data: Any = import_module("benchmarks.data")
        data.create_namespace()
        options = turns.Options(
            seconds=asked.seconds,
            rounds=asked.rounds,
            clients=asked.clients,
            processes=asked.processes,
            quick=asked.quick,
            say=lambda line: console.print(f"[dim]{line}[/dim]"),
        )
        began = time.monotonic()
        result = getattr(suites, asked.one)(options)
        took = time.monotonic() - began
        report.show(console, result)
        facts = servers.facts()
    found = result.as_json() | {
        "facts": facts
        | {"turns": f"{asked.rounds} of {asked.seconds:g} s each, in turn"},
        "took_seconds": round(took),
        "command": f"make bench ARGS='--only {asked.one}'",
    }
    asked.json.write_text(json.dumps(found))


def _keep(path: Path, name: str, found: dict[str, Any]) -> None:
    """Replace the suite's result in the file; leave the others."""
    everything = json.loads(path.read_text()) if path.exists() else {}
    text = json.dumps(
        everything | {name: found}, indent=1, ensure_ascii=False, sort_keys=True
    )
    path.write_text(text + "\n")


if __name__ == "__main__":
    main()
