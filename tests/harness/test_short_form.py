"""The harness itself in short, on each kind of broker; `make faults` runs it in full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.brokers import require_rabbitmq
from tests.harness.postgres import programs_of
from tests.programs import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.own_brokers, pytest.mark.timeout(300)]


def require_postgres(kind: str) -> None:
    if programs_of(kind) is None:
        if os.environ.get("CI"):
            pytest.fail(f"PostgreSQL {kind} is not installed")
        pytest.skip(f"PostgreSQL {kind} is not installed")


# A process of its own: it mounts file systems where this one does not see them.
@pytest.mark.parametrize(
    ("postgres", "broker"), [("embedded", "valkey"), ("15", "rabbitmq")]
)
def test_service__counts_right_under_faults(
    postgres: str, broker: str, tmp_path: Path
) -> None:
    require_postgres(postgres)
    if broker == "rabbitmq":
        require_rabbitmq()
    figures = tmp_path / "figures.json"
    words = ["--postgres", postgres, "--broker", broker, "--seed", "5"]
    words += ["--steps", "8", "--hold", "1", "--rate", "20"]
    words += ["--json", str(figures), "--keep", str(tmp_path / "kept")]

    done = subprocess.run(
        [sys.executable, "-m", "tests.harness", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    [run] = json.loads(figures.read_text())
    assert run["good"]
    assert len(run["steps"]) == 8
    assert run["tokens"]["counted"] >= run["tokens"]["acknowledged"] > 100
