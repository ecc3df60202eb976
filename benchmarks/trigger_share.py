"""`python -m benchmarks.trigger_share`: what the trigger costs an add, in turns."""

from __future__ import annotations

import argparse
from collections import defaultdict
from importlib import import_module
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.ground import Measured, adds, prepared

WAYS = ("none", "background", "inline")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2, help="of each turn")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 8])
    options = parser.parse_args()
    table = Table(title="An add of one hot counter, with and without its trigger")
    for head in (
        "threads",
        "trigger",
        "adds/s",
        "CPU us",
        "/ none",
        "p50 us",
        "/ none",
    ):
        table.add_column(head, justify="right")
    with prepared():
        for threads in options.threads:
            found = _measure(threads, options.seconds, options.rounds)
            none = found["none"]
            for way in WAYS:
                one = found[way]
                table.add_row(
                    str(threads),
                    way,
                    f"{len(one.seconds) / options.seconds / options.rounds:,.0f}",
                    f"{one.cpu:.0f}",
                    f"{one.cpu / none.cpu:.3f}",
                    f"{one.at(0.5):.0f}",
                    f"{one.at(0.5) / none.at(0.5):.3f}",
                )
    Console().print(table)


def _measure(threads: int, seconds: float, rounds: int) -> dict[str, Measured]:
    receivers: Any = import_module("rollups.receivers")
    signals: Any = import_module("counters.signals")
    settings: Any = import_module("django.conf").settings
    found: dict[str, Measured] = defaultdict(Measured)
    adds(Measured(), threads=threads, seconds=seconds, counters=1)  # warm up
    for _ in range(rounds):
        for way in WAYS:
            if way == "none":
                signals.events_committed.disconnect(receivers.fire_trigger)
            else:
                settings.ROLLUPS_TRIGGER = way
            adds(found[way], threads=threads, seconds=seconds, counters=1)
            signals.events_committed.connect(receivers.fire_trigger)
    return found


if __name__ == "__main__":
    main()
