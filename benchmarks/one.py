"""`python -m benchmarks.one SUITE`: one benchmark on servers of its own.

What one benchmark has written is not in the next one's way.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib import import_module
from pathlib import Path

from rich.console import Console

from benchmarks import facts, ground
from benchmarks.options import Options
from benchmarks.report import terminal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, required=True)
    asked = parser.parse_args()
    console = Console(width=180)
    options = Options(
        seconds=asked.seconds,
        rounds=asked.rounds,
        clients=asked.clients,
        quick=asked.quick,
        say=lambda line: console.print(f"[dim]{line}[/dim]"),
    )
    with ground.prepared():
        suite = import_module(f"benchmarks.suites.{asked.suite}")
        began = time.monotonic()
        result = suite.measure(options)
        took = time.monotonic() - began
        terminal.show(console, result)
        found = result.as_json() | {
            "facts": facts.collect(options),
            "took_seconds": round(took),
            "command": f"make bench ARGS='--only {asked.suite}'",
        }
    asked.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
