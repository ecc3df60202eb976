"""Imports: rows a second that `manage.py counters import` counts from a CSV file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks import programs
from benchmarks.data import fold_all
from benchmarks.results import Result, Table, figure
from benchmarks.turns import Options

COUNTERS = 1_000
COMMAND = "manage.py counters import FILE --counter 'page/{page}' --time at --key id"
OPTIONS = ["--namespace=bench", "--counter=page/{page}", "--time=at", "--key=id"]


def importing(options: Options) -> Result:
    """Import files of views, each with new rows, while a worker folds."""
    rows = options.pick(full=300_000, quick=50_000)
    rates = []
    with programs.running(["worker"]):
        for number in range(options.rounds):
            options.say(f"round {number + 1} of {options.rounds}: {rows:,} rows")
            path = Path(os.environ["DATA_DIR"]) / f"views-{number}.csv"
            _write(path, rows)
            rates.append(_import(path, rows))
            fold_all()
    made = Result("Import of a CSV file", Table(["command", "rows", "rows/s"]))
    made.figures["CSV, rows/s"] = figure(rates)
    made.table.rows.append([f"`{COMMAND}`", f"{rows:,}", str(figure(rates))])
    return made


def _write(path: Path, rows: int) -> None:
    """Write views of the last hour."""
    began = datetime.now(UTC) - timedelta(hours=1)
    with path.open("w") as file:
        file.write("id,at,page\n")
        for i in range(rows):
            at = began + timedelta(hours=1) * i / rows
            file.write(f"{path.stem}-{i},{at.isoformat()},{i % COUNTERS}\n")


def _import(path: Path, rows: int) -> float:
    argv = [sys.executable, "manage.py", "counters", "import", str(path), *OPTIONS]
    told = subprocess.run(
        [*argv, "--json"],
        env={**os.environ, "COUNTERS_ROLE": "command"},
        stdout=subprocess.PIPE,
        check=True,
    )
    summary = json.loads(told.stdout)
    if summary["added"] != rows:
        raise RuntimeError(f"imported {summary['added']:,} of {rows:,} rows")
    return float(summary["events_per_second"])
