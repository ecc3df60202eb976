"""What `make run` keeps is for its owner only, and no secret is in a log or a command."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from counters_project.embedded.data_dir import POSTGRES_PORT, socket_dir
from tests.acceptance.conftest import BASE_DIR, Service, is_gone, wait_until

pytestmark = pytest.mark.acceptance
NOBODY = 65534
# Prints what it reaches: the socket, or any of the files and directories.
REACHES = """
import os, socket, sys
def connect(path):
    socket.socket(socket.AF_UNIX).connect(path)
def read(path):
    try:
        os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)
    except FileNotFoundError:
        raise PermissionError  # gone meanwhile
socket_path, *paths = sys.stdin.read().split("\\0")
for reach, path in [(connect, socket_path), *((read, path) for path in paths)]:
    try:
        reach(path)
    except PermissionError:
        continue
    print(path)
"""


def kept(service: Service) -> Iterator[Path]:
    """Yield everything below the data directory that stays where it is for a moment."""
    for directory, _, names in os.walk(service.data_dir):
        yield Path(directory)
        yield from (Path(directory, name) for name in names)


def secrets_of(service: Service) -> dict[str, str]:
    directory = service.data_dir
    return {
        name: (directory / name).read_text().strip()
        for name in ("token", "secret-key", "valkey/password")
    }


def test_everything__is_for_its_owner_only(service: Service) -> None:
    for path in kept(service):
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(path.lstat().st_mode)
            # As root, PostgreSQL's account passes through the directories above its own.
            shut = 0o066 if path.is_dir() else 0o077
            assert not mode & shut, f"{path}: {mode:o}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as another user")
def test_another_user__reaches_nothing(service: Service) -> None:
    socket = socket_dir(service.data_dir) / f".s.PGSQL.{POSTGRES_PORT}"
    paths = [str(path) for path in kept(service)]

    done = subprocess.run(
        ["/usr/bin/python3", "-c", REACHES],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        input="\0".join([str(socket), *paths]),
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert len(paths) > 500


def logs_of(service: Service) -> dict[str, str]:
    return {str(log): log.read_text() for log in (service.data_dir / "logs").iterdir()}


def kill_and_ask(service: Service, name: str) -> None:
    """Kill a server, add meanwhile, and wait until an add is folded again."""
    server = next(
        process
        for process in psutil.Process(service.supervisor.pid).children()
        if Path(process.exe()).name == name
    )
    server.kill()
    described = service.described
    with suppress(httpx.TransportError):
        httpx.post(
            f"{described['url']}/api/v1/namespaces/demo/counters/hits/add",
            headers={"Authorization": f"Token {described['token']}"},
            json={"delta": 1},
            timeout=30,
        )
    wait_until(lambda: is_gone(server))
    # The longer it was away, the longer the web's pool waits between its tries.
    wait_until(
        lambda: httpx.get(f"{described['url']}/readyz", timeout=30).status_code == 200,
        within_seconds=120,
    )
    service.add(f"after-{name}", 1)
    wait_until(
        lambda: service.count(f"after-{name}", "eventual") == 1, within_seconds=120
    )


@pytest.mark.timeout(300)
def test_secrets__are_in_no_log_and_in_no_command(service: Service) -> None:
    hidden = secrets_of(service)
    commands = [
        " ".join(process.cmdline())
        for process in (psutil.Process(service.supervisor.pid), *service.processes())
    ]
    url = service.described["url"]
    token = hidden["token"]
    for path, headers in (
        ("/api/v1/namespaces/none", {"Authorization": f"Token {token}"}),
        ("/api/v1/namespaces", {"Authorization": f"Token {token[:-1]}"}),
        ("/api/v1/namespaces", {"Authorization": f"Bearer {token}"}),
        ("/api/v1/namespaces", {"Cookie": f"sessionid={token}", "Host": "elsewhere"}),
        (f"/nothing?token={token}", {}),
        ("/admin/", {"Authorization": f"Token {token}"}),
    ):
        httpx.get(f"{url}{path}", headers=headers)
    # Failures write the most to the logs. A server may be back before the add reaches it, so
    # that the add does not fail: then the server is killed again.
    kill_and_ask(service, "valkey-server")
    for _ in range(5):
        kill_and_ask(service, "postgres")
        said = logs_of(service)
        if any("A request was not served" in text for text in said.values()):
            break
    said["output"] = service.output.read_text()
    said["commands"] = "\n".join(commands)
    said["metrics"] = httpx.get(f"{url}/metrics").text
    assert len(said["commands"].splitlines()) > 6
    assert any("A request was not served" in text for text in said.values())
    for place, text in said.items():
        for name, secret in hidden.items():
            # Not even most of it.
            assert secret[:20] not in text, f"{name} in {place}"


def test_directory__that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    refused = subprocess.run(
        [sys.executable, "-m", "counters_project.runner"],
        cwd=BASE_DIR,
        env=os.environ | {"DATA_DIR": str(tmp_path), "PORT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert refused.returncode == 1
    assert f"chmod o-w {tmp_path}" in refused.stdout
    assert list(tmp_path.iterdir()) == []
