"""What a REST call takes of the web server's CPU."""

from __future__ import annotations

import http.client
import json
import os
import threading

from benchmarks import programs
from benchmarks.meters import cpu_seconds
from benchmarks.programs import Running

THREADS = 4
CALLS = {1: 800, 100: 80}
ADD = "/api/v1/namespaces/bench/counters/c{}/add"
BATCH = "/api/v1/events"


def cpu_of_call(events: int) -> float:
    """Return the CPU seconds that a call with so many events takes of Gunicorn."""
    # One process: what its neighbours do is not this call's.
    os.environ["WEB_WORKERS"] = "1"
    running = Running()
    with programs.web(running):
        server, port = running.pids["web"], int(running.variables["BENCH_PORT"])
        headers = {
            "Authorization": f"Token {running.variables['BENCH_TOKEN']}",
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
