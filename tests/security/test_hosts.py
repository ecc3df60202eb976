"""The hosts that the web server answers for, and its answer for others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from tests.programs import ROOT
from tests.security.test_startup_checks import PRODUCTION, load_server, run

ELSEWHERE = "10.1.2.3:8000"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probe__is_answered_whatever_host_it_names(path: str) -> None:
    answer = Client().get(path, headers={"host": ELSEWHERE})

    assert answer.status_code == 200


def test_probe__is_answered_over_plain_http_in_production(tmp_path: Path) -> None:
    program = (
        "import counters_project.wsgi\n"
        "from django.test import Client\n"
        "answer = Client().get('/healthz', HTTP_HOST='10.1.2.3:8000')\n"
        "assert answer.status_code == 200, answer\n"
    )

    probed = run(tmp_path, "-c", program, **PRODUCTION)

    assert probed.returncode == 0, probed.stderr


def test_other_host__is_refused_and_logged_in_one_line(tmp_path: Path) -> None:
    program = (
        "import counters_project.wsgi\n"
        "from django.test import Client\n"
        "answer = Client().get('/api/v1/namespaces', HTTP_HOST='evil.example')\n"
        "assert answer.status_code == 400, answer\n"
    )

    asked = run(tmp_path, "-c", program, **PRODUCTION | {"HTTPS": "false"})

    assert asked.returncode == 0, asked.stderr
    assert "evil.example" in asked.stderr
    assert "Traceback" not in asked.stderr
    assert len(asked.stderr.strip().splitlines()) == 1, asked.stderr


@pytest.mark.parametrize(
    "host",
    [
        "counters.example.com:8000",
        "https://counters.example.com",
        "counters.example.com/",
        "::1",
        "a b.example.com",
        "10.0.0.0/8",
    ],
)
def test_server__refuses_what_is_no_host_name(tmp_path: Path, host: str) -> None:
    hosts = f"10.0.0.5,{host}"

    started = load_server(tmp_path, **PRODUCTION | {"ALLOWED_HOSTS": hosts})

    assert started.returncode != 0
    last = started.stderr.strip().splitlines()[-1]
    assert f"ALLOWED_HOSTS contains {host!r}, which is not a host name." in last


@pytest.mark.parametrize(
    "hosts", ["counters.example.com,10.0.0.5", ".example.com", "[::1]", "xn--bcher-kva"]
)
def test_server__takes_host_names(tmp_path: Path, hosts: str) -> None:
    started = load_server(tmp_path, **PRODUCTION | {"ALLOWED_HOSTS": hosts})

    assert started.returncode == 0, started.stderr


def test_make_run__refuses_what_is_no_host_name_at_once(tmp_path: Path) -> None:
    started = subprocess.run(
        [sys.executable, "-m", "counters_project.runner"],
        cwd=ROOT,
        env=os.environ
        | {"ALLOWED_HOSTS": "localhost:8000", "DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert started.returncode == 2
    assert "ALLOWED_HOSTS contains 'localhost:8000'" in started.stdout + started.stderr
    assert not (tmp_path / "data").exists()
