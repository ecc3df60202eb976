"""`python -m benchmarks.scaling`: what each operation costs as one thing grows."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.scaling import page, plotting
from benchmarks.scaling.apart import measured

AXES = ["kept", "pending", "counters", "writers", "workers", "spread"]
RESULTS = Path("benchmarks/scaling/results.json")
FIGURES, IMAGES = Path("docs/figures"), Path("docs/images")
FULL_ROUNDS, QUICK_ROUNDS = 5, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short axes, few turns")
    parser.add_argument("--only", nargs="*", choices=AXES, default=AXES)
    parser.add_argument("--rounds", type=int, help="turns of each point")
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    parser.add_argument("--plots", type=Path, help="draw into this directory")
    parser.add_argument(
        "--publish",
        action="store_true",
        help=f"write {RESULTS}, {FIGURES}/scaling-*.md and {IMAGES}/scaling-*.svg",
    )
    options = parser.parse_args()
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else FULL_ROUNDS)
    found = {name: measured(name, options.quick, rounds) for name in options.only}
    for result in found.values():
        print(page.table(result), end="\n\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.plots:
        plotting.draw(found, options.plots)
    if options.publish:
        _publish(found)


def _publish(found: dict[str, Any]) -> None:
    everything = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    everything |= found
    RESULTS.write_text(json.dumps(everything, indent=1) + "\n")
    plotting.draw(everything, IMAGES)
    page.write(everything, FIGURES)


if __name__ == "__main__":
    main()
