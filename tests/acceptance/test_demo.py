"""`make demo` on its first departures, beside a running service."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.acceptance.conftest import BASE_DIR, Service

pytestmark = pytest.mark.acceptance


def _demo(service: Service) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "counters_project.demo", "--rows", "2000"],
        cwd=BASE_DIR,
        env=service.environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_demo__is_exact_and_changes_nothing_again(service: Service) -> None:
    first = _demo(service)
    if "could not be downloaded" in first.stdout:
        pytest.skip("the departures come from PyPI, which does not answer")
    again = _demo(service)

    assert first.stdout.splitlines()[-1] == "exact: 194 of 194 counters", first
    assert "6,000 events added, 0 duplicates" in first.stdout
    assert again.stdout.splitlines()[-1] == "exact: 194 of 194 counters", again
    assert "0 events added, 6,000 duplicates" in again.stdout
    assert (first.returncode, again.returncode) == (0, 0)
    # A story for people: no line of a library's log.
    assert "INFO" not in first.stdout + first.stderr
    assert first.stderr == again.stderr == ""
    assert service.run_file.exists()
