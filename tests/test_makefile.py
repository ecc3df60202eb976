"""Tests for the Makefile: what its targets run, without running it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(
    shutil.which("make") is None, reason="make is not installed"
)


def dry_run(target: str) -> subprocess.CompletedProcess[str]:
    """Return what `make` would run for a target, with its warnings."""
    return subprocess.run(
        ["make", "--dry-run", target],
        cwd=ROOT,
        # Without the options of the `make` that runs the tests, such as its job server.
        env={name: value for name, value in os.environ.items() if "MAKE" not in name},
        capture_output=True,
        text=True,
        check=False,
    )


def test_check__runs_every_part_of_it() -> None:
    result = dry_run("check")
    assert result.returncode == 0, result.stderr
    for part in (
        "ruff check",
        "ruff format --check",
        "bin/mypy",
        "makemigrations --check",
        "sphinx-build",
        "tools.audit",
        "-m pytest",
    ):
        assert part in result.stdout, part


def test_targets__are_defined_once() -> None:
    # make takes the last recipe of a target, and says so only on stderr.
    assert dry_run("help").stderr == ""
