"""Every command of docs/quickstart.md is run, and answers what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.acceptance.conftest import BASE_DIR, Service, wait_until

pytestmark = pytest.mark.acceptance

PAGE = (BASE_DIR / "docs/quickstart.md").read_text()
# Each command with the lines that the page has it answer.
STEPS = [
    (found[1], found[2].strip())
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for found in re.finditer(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]


def test_quickstart__does_what_it_says(service: Service) -> None:
    assert len(STEPS) == 8
    # The page's reader has read for five seconds before its last command.
    metrics = f"http://127.0.0.1:{service.port}/metrics"
    wait_until(lambda: "rollups_last_sweep_age_seconds " in httpx.get(metrics).text)
    script, expected = ["set -e"], []
    for command, answer in STEPS:
        script += [_here(command, service), "echo; echo END"]
        expected.append(answer)

    ended = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=BASE_DIR,
        env=service.environment | {"DATA_DIR": str(service.data_dir)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert ended.returncode == 0, ended.stderr
    answers = [answer.strip() for answer in ended.stdout.split("END\n")]
    for answer, wanted in zip(answers, expected, strict=False):
        if wanted:
            # Whether a worker has folded it by then is a matter of milliseconds.
            pattern = re.escape(wanted).replace(r"\.\.\.", ".*")
            pattern = pattern.replace('"pending":false', '"pending":(true|false)')
            assert re.fullmatch(pattern, answer, re.DOTALL), (answer, wanted)


def _here(command: str, service: Service) -> str:
    """Return the command for this service's folder, port and Python."""
    return (
        command.replace(".local/token", str(service.data_dir / "token"))
        .replace("http://127.0.0.1:8000", f"http://127.0.0.1:{service.port}")
        .replace(".venv/bin/python", str(Path(sys.executable)))
    )
