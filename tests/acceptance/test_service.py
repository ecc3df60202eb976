"""`make run`: starts, survives, stops, and says what it does."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from counters_project.embedded.data_dir import cluster_dir
from tests.acceptance.conftest import BASE_DIR, Service, is_gone, wait_until

pytestmark = pytest.mark.acceptance


def test_run_record__says_everything_and_is_private(service: Service) -> None:
    described = service.described

    assert described["url"] == f"http://127.0.0.1:{service.port}"
    assert set(described["pids"]) == {"web", "worker", "beat"}
    assert described["token"] == (service.data_dir / "token").read_text().strip()
    assert {"database_url", "broker_url", "cache_url"} < set(described)
    for name in ("run.json", "token", "secret-key", "valkey/password"):
        mode = stat.S_IMODE((service.data_dir / name).stat().st_mode)
        assert mode == 0o600, name


def test_counting__goes_all_the_way_round(service: Service) -> None:
    service.add("round", 3)
    service.add("round", 4)

    assert service.count("round", "accurate") == 7
    wait_until(lambda: service.count("round", "eventual") == 7)


def test_second_start__says_what_runs_already(service: Service) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "counters_project.runner"],
        cwd=BASE_DIR,
        env=service.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert second.returncode == 0
    assert service.described["url"] in second.stdout
    assert "already runs" in second.stdout
    assert str(service.described["pids"]["web"]) in second.stdout
    assert service.described["token"] not in second.stdout


@pytest.mark.parametrize("name", ["web", "worker", "beat"])
def test_killed_child__is_started_again(service: Service, name: str) -> None:
    before = service.described["pids"][name]
    its_own = psutil.Process(before).children(recursive=True)

    psutil.Process(before).kill()

    wait_until(lambda: service.described["pids"].get(name, before) != before)
    wait_until(lambda: all(is_gone(process) for process in its_own))
    service.add(f"after-{name}", 1)
    wait_until(lambda: service.count(f"after-{name}", "eventual") == 1)


@pytest.mark.parametrize("name", ["postgres", "valkey-server"])
def test_killed_server__comes_back_with_the_service(
    service: Service, name: str
) -> None:
    service.add(f"before-{name}", 1)
    server = next(
        process
        for process in psutil.Process(service.supervisor.pid).children()
        if Path(process.exe()).name == name
    )

    server.kill()

    wait_until(lambda: is_gone(server))
    service.add(f"before-{name}", 1)
    wait_until(lambda: service.count(f"before-{name}", "eventual") == 2)


def test_killed_supervisor__leaves_nothing_behind_and_loses_nothing(
    service: Service,
) -> None:
    service.add("kept", 5)
    token = service.described["token"]
    children = service.processes()

    service.supervisor.kill()
    service.supervisor.wait()

    wait_until(lambda: all(is_gone(process) for process in children))
    service.ensure_running()
    assert service.count("kept", "accurate") == 5
    assert service.described["token"] == token


def test_interrupt__stops_everything_in_peace(service: Service) -> None:
    service.stop()  # the logs of a new run hold nothing of what other tests broke
    service.ensure_running()
    children = service.processes()

    service.supervisor.send_signal(signal.SIGINT)

    assert service.supervisor.wait(60) == 0
    assert all(is_gone(process) for process in children)
    assert not service.run_file.exists()
    assert not (cluster_dir(service.data_dir) / "postmaster.pid").exists()
    for log in (service.output, *(service.data_dir / "logs").glob("*.log")):
        assert "Traceback" not in log.read_text(), log


def test_port_of_somebody_else__is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        service = Service(tmp_path, other.getsockname()[1])

        assert service.start().wait(30) == 1

    output = service.output.read_text()
    assert f"Port {service.port} on 127.0.0.1 cannot be used" in output
    assert f"PORT={service.port + 1} make run" in output
    assert "Traceback" not in output
