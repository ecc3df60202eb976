"""The whole service is told to end while clients add, and is started again."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import psutil
import pytest

from tests.acceptance.conftest import Service, wait_until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

CLIENTS = 4
PATIENCE_SECONDS = 60


class Client:
    """Adds one after another; each is sent until it is acknowledged, with one token."""

    def __init__(self, service: Service, enough: threading.Event) -> None:
        described = service.described
        self._url = f"{described['url']}/api/v1/namespaces/demo/counters/load/add"
        self._headers = {"Authorization": f"Token {described['token']}"}
        self._enough = enough
        self.acknowledged = 0
        self.sent_again = 0
        self.refused: list[int] = []

    def run(self) -> None:
        with httpx.Client(headers=self._headers, timeout=PATIENCE_SECONDS) as http:
            while not self._enough.is_set():
                self._add(http, str(uuid4()))

    def _add(self, http: httpx.Client, token: str) -> None:
        while True:
            try:
                answer = http.post(self._url, json={"delta": 1, "token": token})
            except httpx.TransportError:
                self.sent_again += 1
                continue
            if answer.status_code == 200:
                self.acknowledged += 1
                return
            self.refused.append(answer.status_code)


def end(service: Service, name: str) -> None:
    """Tell one program to end; the supervisor starts it again."""
    pid = service.described["pids"][name]
    psutil.Process(pid).terminate()
    wait_until(lambda: service.described["pids"].get(name, pid) != pid)


def test_service__that_is_told_to_end_under_load_loses_no_acknowledged_add(
    service: Service,
) -> None:
    enough = threading.Event()
    clients = [Client(service, enough) for _ in range(CLIENTS)]

    def wait_until_all_add() -> None:
        before = [client.acknowledged for client in clients]
        wait_until(
            lambda: all(
                client.acknowledged > count
                for client, count in zip(clients, before, strict=True)
            )
        )

    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(client.run) for client in clients]
        try:
            wait_until_all_add()
            for name in ("worker", "beat", "web"):
                end(service, name)
                wait_until_all_add()
            service.supervisor.send_signal(signal.SIGTERM)
            assert service.supervisor.wait(PATIENCE_SECONDS) == 0
            service.ensure_running()
            wait_until_all_add()
        finally:
            enough.set()
        for client in running:
            client.result(PATIENCE_SECONDS)

    # Every add was sent until it was acknowledged: exactly these, each once.
    acknowledged = sum(client.acknowledged for client in clients)
    assert service.count("load", "accurate") == acknowledged
    wait_until(lambda: service.count("load", "eventual") == acknowledged)
    assert sum(client.sent_again for client in clients)
    assert {code for client in clients for code in client.refused} <= {503}
