"""Batchers with threads and with tasks, on a service that a test controls."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx
import pytest
from fold_counters_client import (
    AsyncBatcher,
    AsyncClient,
    Batcher,
    BatcherFull,
    Client,
    InvalidArgument,
    NoAnswer,
    NotAuthenticated,
    Refused,
    Retries,
    Unavailable,
)

WAIT_SECONDS = 10.0


class Service:
    """Counts each token once, and refuses the events that a test names."""

    def __init__(self) -> None:
        self.counted: dict[str, int] = {}
        self.best_effort_adds: list[str] = []
        self.calls: list[str] = []
        self.refused: dict[str, int] = {}
        self.best_effort: set[str] = set()
        # Every call ends with this status and code, or without an answer.
        self.fails_with: tuple[int, str] | Exception | None = None
        self.most_events = 10_000
        self.called = threading.Event()
        self.goes_on = threading.Event()
        self.goes_on.set()

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request.url.path)
        self.called.set()
        assert self.goes_on.wait(WAIT_SECONDS)
        if isinstance(self.fails_with, Exception):
            raise self.fails_with
        if self.fails_with is not None:
            return problem(*self.fails_with)
        body = json.loads(request.content)
        if not request.url.path.endswith("/events"):
            assert "token" not in body
            self.best_effort_adds.append(body["name"])
            return httpx.Response(200, json={"name": body["name"], **recorded(None)})
        events = body["events"]
        if len(events) > self.most_events:
            return problem(413, "too-large")
        for index, event in enumerate(events):
            if event["namespace"] in self.best_effort:
                return problem(400, "not-for-best-effort", index=index)
            if event["name"] in self.refused:
                return problem(self.refused[event["name"]], "invalid", index=index)
        self.counted |= {event["token"]: event["delta"] for event in events}
        answers = [recorded(event["token"]) for event in events]
        return httpx.Response(200, json={"results": answers})


def recorded(token: str | None) -> dict[str, Any]:
    at = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    return {"token": token, "event_time": at, "duplicate": False}


def problem(status: int, code: str, **facts: Any) -> httpx.Response:
    body = {"status": status, "code": code, "detail": "No.", **facts}
    return httpx.Response(status, json=body)


class Driver(Protocol):
    """A batcher of either kind, with the interface of the synchronous one."""

    batcher: Batcher | AsyncBatcher

    def add(self, *args: Any, **options: Any) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...
    def end(self) -> None: ...
    def wait_until(self, condition: Callable[[], bool]) -> None: ...


class WithThreads:
    def __init__(self, service: Service, **options: Any) -> None:
        transport = httpx.MockTransport(service.answer)
        retries = Retries(attempts=1)
        self._client = Client("http://test", "s", retries=retries, transport=transport)
        self.batcher = self._client.batcher(**options)
        self.add, self.flush = self.batcher.add, self.batcher.flush

    def close(self) -> None:
        self.batcher.close()

    def end(self) -> None:
        self._client.close()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        for _ in range(round(WAIT_SECONDS * 200)):
            if condition():
                return
            threading.Event().wait(0.005)
        raise AssertionError("it never came")


class WithTasks:
    def __init__(self, service: Service, **options: Any) -> None:
        async def answer(request: httpx.Request) -> httpx.Response:
            return service.answer(request)

        self._runner = asyncio.Runner()
        transport = httpx.MockTransport(answer)
        self._client = AsyncClient(
            "http://test", "s", retries=Retries(attempts=1), transport=transport
        )
        try:
            self.batcher: AsyncBatcher = self._run(lambda: self._make(options))
        except InvalidArgument:
            self._runner.close()
            raise

    async def _make(self, options: Any) -> AsyncBatcher:
        return self._client.batcher(**options)

    def _run(self, call: Callable[[], Any]) -> Any:
        return self._runner.run(call())

    def add(self, *args: Any, **options: Any) -> None:
        self._run(lambda: self.batcher.add(*args, **options))

    def flush(self) -> None:
        self._run(self.batcher.flush)

    def close(self) -> None:
        self._run(self.batcher.close)

    def end(self) -> None:
        self._run(self._client.close)
        self._runner.close()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        async def wait() -> None:
            async with asyncio.timeout(WAIT_SECONDS):
                while not condition():
                    await asyncio.sleep(0.005)

        self._run(wait)


@pytest.fixture
def service() -> Service:
    return Service()


Make = Callable[..., Driver]


@pytest.fixture(params=[WithThreads, WithTasks])
def make(request: pytest.FixtureRequest, service: Service) -> Iterator[Make]:
    """Makes batchers that send on `flush` only, not after a time."""
    made: list[Any] = []

    def make_one(**options: Any) -> Driver:
        driver = request.param(service, **{"most_seconds": 3600.0, **options})
        made.append(driver)
        return driver  # type: ignore[no-any-return]

    yield make_one
    service.fails_with = None
    for driver in made:
        driver.close()
        driver.end()


def test_batcher__sends_a_lone_event_after_its_time(
    make: Make, service: Service
) -> None:
    driver = make(most_seconds=0.001)
    driver.add("ns", "hits", 5)

    driver.wait_until(lambda: list(service.counted.values()) == [5])


def test_batcher__sends_a_full_batch_at_once(make: Make, service: Service) -> None:
    driver = make(batch_events=3)
    for _ in range(3):
        driver.add("ns", "hits")

    driver.wait_until(lambda: len(service.counted) == 3)
    assert len(service.calls) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_batcher__sets_aside_what_is_refused_for_good(
    make: Make, service: Service, status: int
) -> None:
    reported: list[Refused] = []
    driver = make(on_refused=reported.append)
    service.refused = {"bad": status, "worse": status}
    for name in ("a", "bad", "b", "worse", "c"):
        driver.add("ns", name)

    driver.flush()

    assert len(service.counted) == 3
    assert [one.event.name for one in reported] == ["bad", "worse"]
    assert driver.batcher.refused == reported
    assert (driver.batcher.sent, driver.batcher.refused_events) == (3, 2)
    assert driver.batcher.waiting == []


def test_batcher__logs_what_nobody_takes_care_of(
    make: Make, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    driver = make()
    service.refused = {"bad": 400}
    driver.add("ns", "bad")

    with caplog.at_level(logging.WARNING):
        driver.flush()

    [record] = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert (
        "'bad' in namespace 'ns' was refused and does not count; the other events are sent"
        in record.message
    )


def test_batcher__goes_on_where_the_report_fails(make: Make, service: Service) -> None:
    def fail(refused: Refused) -> None:
        raise RuntimeError(refused)

    driver = make(on_refused=fail)
    service.refused = {"bad": 400}
    driver.add("ns", "bad")
    driver.add("ns", "good")

    driver.flush()

    assert (driver.batcher.sent, driver.batcher.refused_events) == (1, 1)


def test_batcher__halves_a_batch_that_is_refused_as_a_whole(
    make: Make, service: Service
) -> None:
    driver = make()
    service.most_events = 2
    for _ in range(7):
        driver.add("ns", "hits")

    driver.flush()

    assert len(service.counted) == 7


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (httpx.ConnectError("refused"), NoAnswer),
        ((503, "database-unavailable"), Unavailable),
        ((401, "not-authenticated"), NotAuthenticated),
    ],
)
def test_batcher__keeps_what_could_not_be_sent(
    make: Make,
    service: Service,
    failure: tuple[int, str] | Exception,
    raised: type[Exception],
) -> None:
    driver = make()
    driver.add("ns", "hits", 2)
    driver.add("ns", "hits", 3)
    kept = driver.batcher.waiting
    service.fails_with = failure

    with pytest.raises(raised):
        driver.flush()
    assert (driver.batcher.sent, driver.batcher.waiting) == (0, kept)
    assert isinstance(driver.batcher.error, raised)

    service.fails_with = None
    driver.flush()
    assert service.counted == {event.token: event.delta for event in kept}
    assert (driver.batcher.sent, driver.batcher.waiting) == (2, [])
    assert driver.batcher.error is None


def test_batcher__adds_to_best_effort_namespaces_one_by_one(
    make: Make, service: Service
) -> None:
    driver = make()
    service.best_effort = {"cache"}
    for namespace in ("ns", "cache", "ns", "cache"):
        driver.add(namespace, "hits")
    driver.flush()
    refused_batches = 1

    assert len(service.counted) == 2
    assert len(service.best_effort_adds) == 2
    driver.add("cache", "hits")
    driver.flush()
    # The second time it knows.
    assert len(service.best_effort_adds) == 3
    assert service.calls.count("/api/v1/events") == 2 + refused_batches
    assert driver.batcher.sent == 5


def test_batcher__sets_aside_what_is_refused_both_ways(
    make: Make, service: Service
) -> None:
    driver = make()
    service.fails_with = (400, "not-for-best-effort")
    driver.add("cache", "hits")
    driver.flush()

    assert [one.event.name for one in driver.batcher.refused] == ["hits"]
    assert [path.rsplit("/", 1)[-1] for path in service.calls] == ["events", "add"]


def test_batcher__takes_no_more_than_may_wait(make: Make, service: Service) -> None:
    driver = make(batch_events=2, most_waiting=2)
    service.fails_with = httpx.ConnectError("refused")
    driver.add("ns", "a")
    driver.add("ns", "b")

    with pytest.raises(
        BatcherFull, match="2 events are waiting and the last attempt to send failed"
    ):
        driver.add("ns", "c")

    assert [event.name for event in driver.batcher.waiting] == ["a", "b"]


def test_batcher__that_is_closed_takes_no_more(make: Make, service: Service) -> None:
    driver = make()
    driver.add("ns", "hits")
    driver.close()

    assert len(service.counted) == 1
    with pytest.raises(InvalidArgument, match="closed"):
        driver.add("ns", "hits")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("ns", 42), {}),
        (("ns", "\ud800"), {}),
        (("", "a"), {}),
        (("ns", "a", 1.5), {}),
        (("ns", "a"), {"token": ""}),
        (("ns", "a"), {"generation_time": datetime(2026, 1, 1)}),  # noqa: DTZ001
    ],
)
def test_batcher__refuses_at_once_what_no_service_takes(
    make: Make, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    driver = make()

    with pytest.raises(InvalidArgument):
        driver.add(*arguments, **options)
    assert driver.batcher.waiting == []


@pytest.mark.parametrize(
    "options",
    [
        {"batch_events": 0},
        {"batch_events": 10_001},
        {"most_waiting": 999},
        {"most_seconds": 0},
    ],
)
def test_batcher__refuses_settings_that_make_no_sense(
    make: Make, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(options))):
        make(**options)


@pytest.fixture
def threaded(service: Service) -> Iterator[Callable[..., Batcher]]:
    made: list[WithThreads] = []

    def make_one(**options: Any) -> Batcher:
        made.append(WithThreads(service, **{"most_seconds": 3600.0, **options}))
        return made[-1].batcher

    yield make_one
    service.goes_on.set()
    for driver in made:
        driver.close()
        driver.end()


def test_add__does_not_wait_while_others_are_sent(
    threaded: Callable[..., Batcher], service: Service
) -> None:
    batcher = threaded(batch_events=1)
    service.goes_on.clear()
    batcher.add("ns", "a")
    assert service.called.wait(WAIT_SECONDS)

    # If the lock were held, the service's call would time out.
    batcher.add("ns", "b")
    assert [event.name for event in batcher.waiting] == ["a", "b"]
    assert service.counted == {}

    service.goes_on.set()
    batcher.flush()
    assert len(service.counted) == 2


def test_add__waits_for_room_while_the_service_takes_events(
    threaded: Callable[..., Batcher], service: Service
) -> None:
    batcher = threaded(batch_events=1, most_waiting=1)
    service.goes_on.clear()
    batcher.add("ns", "a")
    adder = threading.Thread(target=batcher.add, args=("ns", "b"))
    adder.start()
    assert service.called.wait(WAIT_SECONDS)
    assert [event.name for event in batcher.waiting] == ["a"]

    service.goes_on.set()
    adder.join(WAIT_SECONDS)
    batcher.flush()

    assert len(service.counted) == 2


def test_batcher__is_shared_by_threads(
    threaded: Callable[..., Batcher], service: Service
) -> None:
    batcher = threaded(batch_events=7, most_waiting=20)
    start = threading.Barrier(8, timeout=WAIT_SECONDS)

    def add_many() -> None:
        start.wait()
        for _ in range(50):
            batcher.add("ns", "hits")

    adders = [threading.Thread(target=add_many) for _ in range(8)]
    for one in adders:
        one.start()
    for one in adders:
        one.join(WAIT_SECONDS)
    batcher.flush()

    assert len(service.counted) == batcher.sent == 400


def test_async_add__does_not_wait_while_others_are_sent() -> None:
    async def run() -> list[str]:
        called, goes_on = asyncio.Event(), asyncio.Event()
        tokens: list[str] = []

        async def answer(request: httpx.Request) -> httpx.Response:
            called.set()
            await goes_on.wait()
            events = json.loads(request.content)["events"]
            tokens.extend(event["token"] for event in events)
            answers = [recorded(event["token"]) for event in events]
            return httpx.Response(200, json={"results": answers})

        transport = httpx.MockTransport(answer)
        async with (
            asyncio.timeout(WAIT_SECONDS),
            AsyncClient("http://test", "s", transport=transport) as client,
            client.batcher(batch_events=1) as batcher,
        ):
            await batcher.add("ns", "a")
            await called.wait()
            await batcher.add("ns", "b")
            goes_on.set()
        return tokens

    assert len(asyncio.run(run())) == 2
