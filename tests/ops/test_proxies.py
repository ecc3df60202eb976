"""The lines of docs/howto/proxies.md, in real proxies before a server of this application."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from knox.models import AuthToken

from counters.models import Counter, Namespace
from counters_project.wsgi import application

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = settings.BASE_DIR / "docs" / "howto" / "proxies.md"
NAMES = [
    "a//b",
    "a/b",
    "a%2F%2Fb",
    "100%",
    "a b+c?d#e;f",
    "ü/日本",
    "a/add",
    "/",
    "..//..",
]
WITHIN_SECONDS = 30

NGINX = """
daemon off; pid {folder}/pid; error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    {lines}
  }}
}}
"""
CADDY = """
{{
  admin off
  auto_https off
}}
{lines}
"""
APACHE = (
    """
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/pid
DefaultRuntimeDir {folder}
ErrorLog /dev/stderr
User www-data
Group www-data
"""
    + "".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
        for name in ("mpm_event", "authz_core", "proxy", "proxy_http", "headers")
    )
    + "{lines}\n"
)


class AsSent(WSGIRequestHandler):
    """Hands the application the path as it was sent, as gunicorn does."""

    def get_environ(self) -> dict[str, Any]:
        return {**super().get_environ(), "RAW_URI": self.path}

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def server(triggers: list[list[int]]) -> Iterator[str]:
    """The address of the application, served by one thread."""
    server = make_server("127.0.0.1", 0, application, handler_class=AsSent)

    def serve() -> None:
        server.serve_forever(poll_interval=0.05)
        connections.close_all()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(WITHIN_SECONDS)
    server.server_close()


def lines_of(title: str) -> str:
    section = PAGE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return section.split("```text\n")[1].split("```")[0]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def find(program: str) -> str:
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        if "CI" in os.environ:
            pytest.fail(f"{program} is not installed; .ci/run installs it")
        pytest.skip(f"{program} is not installed")
    return found


@contextmanager
def nginx(folder: Path, port: int, lines: str) -> Iterator[None]:
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, lines=lines))
    with running([find("nginx"), "-p", str(folder), "-c", str(config)], port, folder):
        yield


@contextmanager
def caddy(folder: Path, port: int, lines: str) -> Iterator[None]:
    config = folder / "Caddyfile"
    lines = lines.replace("counters.example.com", f"http://127.0.0.1:{port}")
    config.write_text(CADDY.format(lines=lines))
    command = [find("caddy"), "run", "--adapter", "caddyfile", "--config", str(config)]
    with running(command, port, folder):
        yield


@contextmanager
def apache(folder: Path, port: int, lines: str) -> Iterator[None]:
    config = folder / "apache.conf"
    config.write_text(APACHE.format(folder=folder, port=port, lines=lines))
    command = [find("apache2"), "-DFOREGROUND", "-f", str(config)]
    with running(command, port, folder):
        yield


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    home = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | home, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + WITHIN_SECONDS
        while not answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(WITHIN_SECONDS)


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


Proxy = Callable[[Path, int, str], Any]
PROXIES: dict[str, Proxy] = {"nginx": nginx, "Caddy": caddy, "Apache": apache}
# Common configurations: nginx decodes the path, Apache refuses it or decodes `%25`.
CARELESS: list[tuple[str, str, str]] = [
    ("nginx", "127.0.0.1:8000;", "127.0.0.1:8000/;"),
    ("Apache", "AllowEncodedSlashes NoDecode", ""),
    ("Apache", " nocanon", ""),
]


@contextmanager
def through(
    title: str, server: str, folder: Path, lines: str
) -> Iterator[httpx.Client]:
    user = User.objects.create_superuser("machine")
    token = AuthToken.objects.create(user)[1]
    port = free_port()
    with (
        PROXIES[title](folder, port, lines.replace("127.0.0.1:8000", server)),
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}/api/v1/namespaces/test/",
            headers={"Authorization": f"Token {token}"},
            timeout=WITHIN_SECONDS,
        ) as client,
    ):
        yield client


def add_by_path(client: httpx.Client) -> list[str]:
    """Add to each name by path; return the names of the counters that were hit."""
    for name in NAMES:
        client.post(f"counters/{quote(name, safe='')}/add", json={"delta": 1})
    return sorted(Counter.objects.values_list("name", flat=True))


def use_by_name(client: httpx.Client) -> None:
    """Call each route by name, for each name."""
    for name in NAMES:
        for call, body in (
            ("add", {"name": name, "delta": 2}),
            ("clear", {"name": name}),
            ("add", {"name": name, "delta": 3}),
        ):
            answer = client.post(call, json=body)
            assert (answer.status_code, answer.json().get("name")) == (200, name)
        for call in ("series", "total"):
            answer = client.get(call, params={"name": name})
            assert (answer.status_code, answer.json()["name"]) == (200, name)
    wanted = {"names": NAMES, "accuracy": "accurate"}
    results = client.post("read", json=wanted).json()["results"]
    assert [(one["name"], one["count"]) for one in results] == [
        (name, 3) for name in NAMES
    ]
    for name in NAMES[1:]:
        answer = client.post("delete", json={"name": name, "confirm": name})
        assert answer.json() == {"name": name}
    answer = client.delete("counters", params={"name": NAMES[0], "confirm": NAMES[0]})
    assert answer.json() == {"name": NAMES[0]}
    assert not Counter.objects.exists()


@pytest.mark.parametrize("title", PROXIES)
def test_proxy__passes_the_path_on_as_it_was_sent(
    committed_namespace: Namespace, server: str, tmp_path: Path, title: str
) -> None:
    with through(title, server, tmp_path, lines_of(title)) as client:
        assert add_by_path(client) == sorted(NAMES)
        Counter.objects.all().delete()
        use_by_name(client)


@pytest.mark.parametrize(("title", "good", "careless"), CARELESS)
def test_calls_by_name__do_not_depend_on_the_proxys_lines(
    committed_namespace: Namespace,
    server: str,
    tmp_path: Path,
    title: str,
    good: str,
    careless: str,
) -> None:
    lines = lines_of(title)
    assert good in lines
    with through(title, server, tmp_path, lines.replace(good, careless)) as client:
        # The lines on the page are for these names.
        assert add_by_path(client) != sorted(NAMES)
        Counter.objects.all().delete()
        use_by_name(client)
