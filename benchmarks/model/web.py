"""What a REST call takes of the web server's CPU."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from benchmarks.scaling.costs import cpu_seconds

THREADS = 4
CALLS = {1: 2_000, 100: 200}
ADD = "/api/v1/namespaces/bench/counters/c{}/add"
BATCH = "/api/v1/events"
READY_WITHIN_SECONDS = 60


def cpu_of_call(events: int) -> float:
    """Return the CPU seconds that a call with so many events takes of Gunicorn."""
    with _served() as (server, port):
        headers = {
            "Authorization": f"Token {_token()}",
            "Content-Type": "application/json",
        }
        _call_often(port, headers, events, 40)
        before = cpu_seconds(server)
        _call_often(port, headers, events, CALLS[events])
        return (cpu_seconds(server) - before) / CALLS[events]


def _call_often(port: int, headers: dict[str, str], events: int, calls: int) -> None:
    def some() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for i in range(calls // THREADS):
            path, body = _request(events, i)
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status < 300, answer.status  # noqa: S101
        connection.close()

    threads = [threading.Thread(target=some) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _request(events: int, number: int) -> tuple[str, str]:
    if events == 1:
        return ADD.format(number % 1_000), json.dumps({"delta": 1})
    many = [
        {"namespace": "bench", "name": f"c{(number * events + i) % 1_000}", "delta": 1}
        for i in range(events)
    ]
    return BATCH, json.dumps({"events": many})


def _token() -> str:
    """Make an API token that may write in `bench`."""
    users: Any = import_module("django.contrib.auth").get_user_model().objects
    granting: Any = import_module("counters.granting")
    keeping: Any = import_module("counters.token_keeping")
    users.get_or_create(username="bench")
    granting.grant(namespace="bench", to="bench", rights=["read", "write"])
    _, token = keeping.create(user="bench")
    return str(token)


@contextmanager
def _served() -> Iterator[tuple[int, int]]:
    """Run Gunicorn as the service does, with one process; yield its id and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "gunicorn", "counters_project.wsgi:application"]
    command += ["--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"]
    command += ["--workers", "1", "--threads", "16", "--keep-alive", "30"]
    server = subprocess.Popen(
        command,
        env=os.environ | {"COUNTERS_ROLE": "web", "ALLOWED_HOSTS": "127.0.0.1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield server.pid, port
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"Gunicorn did not answer within {READY_WITHIN_SECONDS} s")
