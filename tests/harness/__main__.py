"""`python -m tests.harness`: see --help."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from counters_project.embedded.data_dir import make_private_dir
from tests.faults.brokers import has_rabbitmq
from tests.harness import disk, faults, options, report, stack, trial
from tests.harness.hosts import NoHostsError
from tests.harness.postgres import programs_of
from tests.harness.progress import Shown
from tests.harness.stack import CannotStartError, Choice
from tests.harness.trial import Plan


def main() -> int:
    chosen = options.parse()
    signal.signal(signal.SIGTERM, _interrupt)
    # Where nobody looks, a table is not cut to what a terminal would show.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    console.print(f"Seed {chosen.seed}; --seed {chosen.seed} replays it.")
    small_disk = _enter_own_mounts(console, chosen)
    asked = options.combinations(chosen)
    there = [pair for pair in asked if _is_there(console, *pair)]
    runs: list[dict[str, Any]] = []
    with Shown(console, seconds=chosen.seconds) as shown:
        for postgres, broker in there:
            choice = Choice(
                postgres=postgres,
                broker=broker,
                small_disk=small_disk,
                hosts=chosen.hosts,
            )
            plan = _plan(chosen, choice, seconds=chosen.seconds / len(there))
            try:
                runs.append(_run(choice, plan, chosen.keep, shown, console))
            except CannotStartError as error:
                console.print(f"{postgres}, {broker}: {error}", markup=False)
                return 1
            except NoHostsError as error:
                console.print(f"No hosts can be made on this machine: {error}.")
                return 1 if os.environ.get("CI") else 0
            if chosen.json:
                chosen.json.write_text(json.dumps(runs, indent=1) + "\n")
    if runs:
        report.show(console, runs)
    else:
        console.print("Nothing was run.")
    if len(there) < len(asked) and os.environ.get("CI"):
        return 1
    return 0 if all(run["good"] for run in runs) else 1


def _run(
    choice: Choice, plan: Plan, keep: Path | None, shown: Shown, console: Console
) -> dict[str, Any]:
    """Run one combination in a directory of its own; return its figures."""
    shown.begin(f"{choice.postgres}, {choice.broker}", share=plan.seconds)
    directory = Path(tempfile.mkdtemp(prefix="counters-harness-"))
    good = False
    try:
        with stack.running(choice, directory) as running:
            outcome = trial.run(running, plan, say=shown.say)
        good = outcome.is_good
        return report.figures(outcome, postgres=choice.postgres, broker=choice.broker)
    finally:
        if not good:
            kept = _keep(directory, keep)
            console.print(f"Logs and ledgers are in {kept}")
        shutil.rmtree(directory, ignore_errors=True)


def _plan(chosen: argparse.Namespace, choice: Choice, *, seconds: float) -> Plan:
    possible = [
        fault
        for fault in chosen.faults
        if (choice.small_disk or fault != faults.NEEDS_SMALL_DISK)
        and (choice.hosts or fault not in faults.PARTITIONS)
    ]
    return Plan(
        # Each combination has its own schedule, whichever others run beside it.
        seed=f"{chosen.seed} {choice.postgres} {choice.broker}",
        seconds=seconds,
        steps=chosen.steps,
        faults=possible,
        most_hold_seconds=chosen.hold,
        clients=chosen.clients,
        rate=chosen.rate,
    )


def _enter_own_mounts(console: Console, chosen: argparse.Namespace) -> bool:
    if faults.NEEDS_SMALL_DISK not in chosen.faults:
        return False
    try:
        disk.enter_own_mounts()
    except disk.MountRefusedError as error:
        console.print(f"No disk will be full: mounting is refused here ({error}).")
        return False
    return True


def _is_there(console: Console, postgres: str, broker: str) -> bool:
    missing = []
    if programs_of(postgres) is None:
        missing.append(f"PostgreSQL {postgres}")
    if broker == "rabbitmq" and not has_rabbitmq():
        missing.append("RabbitMQ")
    for name in missing:
        console.print(f"{postgres}, {broker}: left out, {name} is not installed.")
    return not missing


def _keep(directory: Path, keep: Path | None) -> Path:
    """Move logs and ledgers to where they stay; a database is not among them."""
    target = make_private_dir(keep or Path(tempfile.mkdtemp(prefix="counters-failed-")))
    for path in [*directory.rglob("*.log"), *directory.rglob("*.jsonl")]:
        place = target / path.relative_to(directory)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    return target


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
