"""The harness itself in short, on each kind of broker; `make faults` runs it in full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.brokers import require_rabbitmq
from tests.harness import partitions
from tests.harness.postgres import programs_of
from tests.programs import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.own_brokers, pytest.mark.timeout(300)]


def require_postgres(kind: str) -> None:
    if programs_of(kind) is None:
        if os.environ.get("CI"):
            pytest.fail(f"PostgreSQL {kind} is not installed")
        pytest.skip(f"PostgreSQL {kind} is not installed")


# A process of its own: it mounts file systems where this one does not see them.
def run_harness(directory: Path, *words: str) -> dict[str, Any]:
    figures = directory / "figures.json"
    always: list[str | Path] = [
        "--rate",
        "20",
        "--json",
        figures,
        "--keep",
        directory / "kept",
    ]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.harness", *words, *always],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    if "No hosts can be made" in ended.stdout:
        pytest.skip(ended.stdout.strip().splitlines()[-1])
    [run] = json.loads(figures.read_text())
    assert run["good"]
    assert run["tokens"]["counted"] >= run["tokens"]["acknowledged"] > 100
    found: dict[str, Any] = run
    return found


@pytest.mark.parametrize(
    ("postgres", "broker"), [("embedded", "valkey"), ("15", "rabbitmq")]
)
def test_service__counts_right_under_faults(
    postgres: str, broker: str, tmp_path: Path
) -> None:
    require_postgres(postgres)
    if broker == "rabbitmq":
        require_rabbitmq()

    run = run_harness(
        tmp_path,
        *("--postgres", postgres, "--broker", broker),
        *("--seed", "5", "--steps", "8", "--hold", "1"),
    )

    assert len(run["steps"]) == 8


def test_service__counts_right_while_its_hosts_are_parted(tmp_path: Path) -> None:
    run = run_harness(
        tmp_path,
        *("--hosts", "--postgres", "embedded", "--broker", "valkey"),
        *("--seed", "5", "--steps", "5", "--hold", "1"),
        *("--faults", *partitions.NAMES),
    )

    assert len(run["steps"]) == 5


def test_partition__lets_nothing_through_in_its_direction() -> None:
    """In a process of its own, which enters the hosts."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.harness.parted"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    if "No hosts can be made" in ended.stdout and not os.environ.get("CI"):
        pytest.skip(ended.stdout.strip())
    assert ended.stdout.split() == ["both", "lost", "lost", "both"], ended.stderr
