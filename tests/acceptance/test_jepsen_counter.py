"""A Jepsen-style counter check over REST: a real server, a real worker, many clients.

Clients add and read at once; some of their adds are sent again, some are given up and sent
again, and a web process is killed in the middle. What they saw must be a history of one
exact counter; see `histories`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from django.contrib.auth.models import User
from knox.models import AuthToken

from counters.models import Event, LastWrite, Namespace
from counters.recording import tokens
from counters_project.runner.command_lines import Environment, web
from tests import programs
from tests.acceptance.conftest import free_port
from tests.conftest import Threads
from tests.factories import grant
from tests.histories import Add, Read, bounds, violations
from tests.servers import Servers

ADDERS, ADDS = 4, 50
READERS = {"accurate": 2, "eventual": 2}
TIMEOUT_SECONDS = 60


class Client:
    """One client: a connection of its own, patience, and a memory of what it saw."""

    def __init__(self, url: str, token: str) -> None:
        self.counter = f"{url}/api/v1/namespaces/test/counters/hits"
        self.http = httpx.Client(headers={"Authorization": f"Token {token}"})

    def add(self, chance: random.Random, delta: int) -> Add:
        """Add with one token until there is an answer, and sometimes once more."""
        token = chance.choice([tokens.new().text, str(uuid4())])
        body = {"delta": delta, "token": token}
        began = time.time()
        # Too little time for an answer: nobody knows then whether it counted.
        hasty = chance.random() < 0.1
        answer = self._call(
            "POST", "/add", json=body, timeout=0.003 if hasty else TIMEOUT_SECONDS
        )
        ended = time.time()
        if chance.random() < 0.2:
            again = self._call("POST", "/add", json=body)
            assert again == answer | {"duplicate": True}
        return Add(began, ended, delta)

    def add_without_token(self, delta: int) -> Add:
        """Add once: a second attempt could count twice."""
        began = time.time()
        try:
            response = self.http.post(
                self.counter + "/add", json={"delta": delta}, timeout=TIMEOUT_SECONDS
            )
        except httpx.TransportError:
            return Add(began, None, delta)
        assert response.status_code in {200, 503}, response.text
        if response.status_code == 503:
            return Add(began, None, delta)
        assert response.json()["token"] is None
        return Add(began, time.time(), delta)

    def read(self, accuracy: str) -> Read:
        began = time.time()
        body = self._call("GET", "", params={"accuracy": accuracy})
        assert body["accuracy"] == accuracy
        as_of = datetime.fromisoformat(body["as_of"]).timestamp()
        return Read(began, time.time(), int(body["count"]), body["accuracy"], as_of)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            try:
                response = self.http.request(method, self.counter + path, **options)
            except httpx.TransportError:
                options["timeout"] = TIMEOUT_SECONDS
                continue
            if response.status_code == 503:
                continue
            assert response.status_code == 200, response.text
            return response.json()
        raise TimeoutError(f"{method} {path}: no answer")


@contextmanager
def server(servers: Servers, broker_url: str, directory: Path) -> Iterator[str]:
    """The web server as the service starts it, on this test's database; yields its URL."""
    port = free_port()
    program = web(
        Environment(
            data_dir=directory,
            database_url=programs.test_database_url(),
            broker_url=broker_url,
            cache_url=servers.cache_url,
            allowed_hosts="127.0.0.1",
        ),
        bind=f"127.0.0.1:{port}",
    )
    url = f"http://127.0.0.1:{port}"
    log = directory / "web.log"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    with programs.running([*program.argv[1:]], log, dict(program.env)) as process:
        programs.wait_until(answers, f"the web server does not answer: {log}")
        yield url
        assert process.poll() is None, log.read_text()


def kill_a_web_process(url: str) -> None:
    """SIGKILL one of gunicorn's processes; its master starts another."""
    port = int(url.rpartition(":")[2])
    serving = [
        process
        for process in psutil.Process().children(recursive=True)
        if f"127.0.0.1:{port}" in process.cmdline()
    ]
    # The first is the master: it started the others.
    masters = {process.pid for process in serving} & {
        process.ppid() for process in serving
    }
    next(process for process in serving if process.pid not in masters).kill()


@pytest.mark.acceptance
@pytest.mark.django_db(transaction=True)
def test_counter__of_many_clients_is_one_exact_counter(
    committed_namespace: Namespace,
    servers: Servers,
    broker_url: str,
    threads: Threads,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEB_WORKERS", "2")
    user = User.objects.create_user("machine")
    grant(committed_namespace, user, "read write manage")
    _, token = AuthToken.objects.create(user)
    programs.purge(broker_url)
    with (
        server(servers, broker_url, tmp_path) as url,
        programs.worker(broker_url, tmp_path / "worker.log"),
    ):
        for phase, (least, most) in enumerate(((1, 1_000), (-1_000, 1_000))):
            history = run(threads, url, str(token), phase, least, most)
            adds, reads = history
            assert {read.accuracy for read in reads} == {"accurate", "eventual"}
            assert violations(adds, reads) == []

            client = Client(url, str(token))
            total = client.read("accurate").count
            acknowledged = sum(add.delta for add in adds if add.ended is not None)
            assert total - acknowledged in possible_sums(
                add.delta for add in adds if add.ended is None
            )
            programs.wait_until(
                lambda: client.read("eventual").count == total,  # noqa: B023
                "the folds did not come through",
            )
            programs.wait_until(
                lambda: not LastWrite.objects.exists(), "last writes stay"
            )
            # The history is worth something: a lost or doubled add would show.
            assert any(violations(adds, [read]) for read in wrong(adds, reads))
            client.http.delete(client.counter, params={"confirm": "hits"})
            client.http.close()
            assert not Event.objects.exists()
    assert "Traceback" not in (tmp_path / "worker.log").read_text()


def run(
    threads: Threads, url: str, token: str, phase: int, least: int, most: int
) -> tuple[list[Add], list[Read]]:
    """Let the clients loose on a new counter; return what they saw."""
    first = Client(url, token)
    adds = [first.add(random.Random(phase), 1)]
    first.http.close()
    reads: list[Read] = []
    done = threading.Event()
    half_way = threading.Barrier(ADDERS + 1, timeout=TIMEOUT_SECONDS)

    def keep_adding(number: int) -> list[Add]:
        chance = random.Random(f"{phase} {number}")
        client = Client(url, token)
        seen = []
        for number_of_add in range(ADDS):
            if number_of_add == ADDS // 2:
                half_way.wait()
            delta = chance.randint(least, most)
            if chance.random() < 0.3:
                seen.append(client.add_without_token(delta))
            else:
                seen.append(client.add(chance, delta))
        client.http.close()
        return seen

    def keep_reading(accuracy: str) -> list[Read]:
        client = Client(url, token)
        seen = []
        while not done.is_set():
            seen.append(client.read(accuracy))
        client.http.close()
        return seen

    adding = [threads.submit(keep_adding, number) for number in range(ADDERS)]
    reading = [
        threads.submit(keep_reading, accuracy)
        for accuracy, number in READERS.items()
        for _ in range(number)
    ]
    try:
        half_way.wait()
        kill_a_web_process(url)
        for future in adding:
            adds += future.result(TIMEOUT_SECONDS)
    finally:
        done.set()
    for future in reading:
        reads += future.result(TIMEOUT_SECONDS)
    return adds, reads


def possible_sums(deltas: Iterable[int]) -> set[int]:
    """Return what adds that were never answered may have added: any of them, or none."""
    sums = {0}
    for delta in deltas:
        sums |= {each + delta for each in sums}
    return sums


def wrong(adds: list[Add], reads: list[Read]) -> Iterator[Read]:
    """Yield accurate reads as they would be if one acknowledged add were lost."""
    for read in reads:
        acknowledged = [
            add for add in adds if add.ended is not None and add.ended <= read.began
        ]
        if read.accuracy == "accurate" and acknowledged:
            yield replace(read, count=read.count - acknowledged[-1].delta)


# --- The checker itself ------------------------------------------------------------------

# 5 from 1 to 2; 7 from 3 to 6; 100 from 8 on, never answered.
ADDED = [Add(1, 2, 5), Add(3, 6, 7), Add(8, None, 100)]


def accurate(began: float, ended: float, count: int) -> Read:
    return Read(began, ended, count, "accurate", as_of=began)


def eventual(began: float, ended: float, count: int, as_of: float) -> Read:
    return Read(began, ended, count, "eventual", as_of)


GOOD: dict[str, list[Read]] = {
    "before all": [accurate(0, 0.5, 0)],
    "beside the first": [accurate(0, 1.5, 0), accurate(0, 1.5, 5)],
    "after the first": [accurate(2.1, 2.9, 5)],
    "beside the second": [accurate(2.5, 4, 5), accurate(2.5, 4, 12)],
    "begun before the answer": [accurate(4, 7, 5), accurate(5, 7, 12)],
    "after the second": [accurate(6.5, 7, 12)],
    "the one without an answer counts late or never": [
        accurate(9, 10, 12),
        accurate(9, 10, 112),
        accurate(50, 51, 112),
    ],
    "a late eventual read": [
        eventual(7, 7.5, 5, as_of=4),
        eventual(7, 7.5, 12, as_of=4),
    ],
    "an eventual read of long ago": [eventual(7, 7.5, 0, as_of=0.5)],
    "an eventual read behind an accurate one": [
        accurate(6.5, 6.6, 12),
        eventual(7, 7.5, 5, as_of=4),
    ],
}
BAD: dict[str, list[Read]] = {
    "a lost add": [accurate(2.1, 2.9, 0)],
    "a lost add, later": [accurate(7, 7.5, 7)],
    "an add that counts twice": [accurate(7, 7.5, 17)],
    "an add before it was begun": [accurate(2.1, 2.9, 12)],
    "an eventual read ahead of what was begun": [eventual(2.1, 2.9, 12, as_of=2)],
    "an eventual read behind its own claim": [eventual(7, 7.5, 5, as_of=6.5)],
    "an eventual read that counts twice": [eventual(7, 7.5, 24, as_of=0)],
    "a read that knows the future": [eventual(7, 7.5, 12, as_of=7.6)],
    "a count that falls": [accurate(3, 4, 12), accurate(4.5, 5, 5)],
    "an eventual count that falls": [
        eventual(3, 4, 12, as_of=2),
        eventual(4.5, 5, 5, as_of=2),
    ],
    "an accurate read behind an eventual one": [
        eventual(3, 4, 12, as_of=2),
        accurate(4.5, 5, 5),
    ],
}


@pytest.mark.parametrize("case", GOOD)
def test_checker__takes_a_good_history(case: str) -> None:
    assert violations(ADDED, GOOD[case]) == []


@pytest.mark.parametrize("case", BAD)
def test_checker__catches_a_bad_history(case: str) -> None:
    assert len(violations(ADDED, BAD[case])) == 1


def test_checker__lets_what_may_be_in_a_count_pull_either_way() -> None:
    adds = [Add(0, 1, 50), Add(2, 9, 7), Add(2, 9, -20), Add(8, 9, 1_000)]

    allowed = bounds(adds, acknowledged_by=3, begun_by=4)

    assert (allowed.least, allowed.most) == (30, 57)
    for count, good in {29: False, 30: True, 57: True, 58: False}.items():
        assert (violations(adds, [accurate(3, 4, count)]) == []) is good


def test_checker__lets_counts_fall_where_something_was_taken_off() -> None:
    adds = [Add(0, 1, 50), Add(2, 9, -20)]

    assert violations(adds, [accurate(3, 4, 50), accurate(5, 6, 30)]) == []
    assert violations(adds, [accurate(3, 4, 50), accurate(10, 11, 50)])


@pytest.mark.parametrize("broken", ["loses", "doubles", "lags"])
def test_checker__catches_a_counter_that_is_not_exact(
    broken: str, threads: Threads
) -> None:
    """A made-up counter, wrong once in twenty adds, with as many clients at once."""
    counted = Broken(broken)
    adds: list[Add] = []
    reads: list[Read] = []
    start = threading.Barrier(ADDERS + 1, timeout=TIMEOUT_SECONDS)

    def keep(work: Callable[[], None]) -> None:
        start.wait()
        for _ in range(100):
            work()

    def add() -> None:
        began = time.time()
        counted.add(3)
        adds.append(Add(began, time.time(), 3))

    def read() -> None:
        began = time.time()
        count = counted.count()
        reads.append(Read(began, time.time(), count, "accurate", as_of=began))

    futures = [threads.submit(keep, add) for _ in range(ADDERS)]
    futures.append(threads.submit(keep, read))
    for future in futures:
        future.result(TIMEOUT_SECONDS)
    read()

    assert violations(adds, reads)


class Broken:
    """A counter that is not exact."""

    def __init__(self, how: str) -> None:
        self._how = how
        self._adds: list[int] = []
        self._lock = threading.Lock()

    def add(self, delta: int) -> None:
        with self._lock:
            self._adds.append(delta)
            if len(self._adds) % 20 == 0:
                match self._how:
                    case "loses":
                        self._adds[-1] = 0
                    case "doubles":
                        self._adds[-1] *= 2

    def count(self) -> int:
        with self._lock:
            return sum(self._adds[:-1] if self._how == "lags" else self._adds)
