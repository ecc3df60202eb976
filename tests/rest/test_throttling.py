from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from threading import Barrier
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import cache
from knox.models import AuthToken
from pytest_django import Settings

from counters.rest.base_view import TokenRate, minute
from rollups import counts
from tests.conftest import Threads
from tests.rest.conftest import Api, problem

# Well inside a minute.
NOW = "2026-05-05T12:00:10Z"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    cache.clear()
    minute.resume()
    yield
    cache.clear()
    minute.resume()


@pytest.fixture
def limited(settings: Settings) -> None:
    settings.COUNTERS_API_RATE_PER_MINUTE = 3


def test_throttle__is_off_unless_set(api: Api) -> None:
    answers = [api.get("namespaces") for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit-Limit" not in answers[0].headers


@pytest.mark.usefixtures("limited")
def test_throttle__lets_so_many_calls_through_a_minute(api: Api) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        answers = [api.get("namespaces") for _ in range(4)]
        clock.shift(50)
        next_minute = api.get("namespaces")

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert answers[0]["RateLimit-Limit"] == "3"
    assert answers[3]["Retry-After"] == answers[3]["RateLimit-Reset"] == "50"
    assert problem(answers[3], 429)["code"] == "throttled"
    assert next_minute.status_code == 200


@pytest.mark.usefixtures("limited")
def test_throttle__is_each_tokens_own(api: Api) -> None:
    user = User.objects.get(username="machine")
    other = Api(str(AuthToken.objects.create(user)[1]))

    with time_machine.travel(NOW, tick=False):
        for _ in range(4):
            last = api.get("namespaces")
        first_of_other = other.get("namespaces")

    assert (last.status_code, first_of_other.status_code) == (429, 200)


@pytest.mark.usefixtures("limited")
def test_throttle__refuses_before_anything_is_written(api: Api) -> None:
    with time_machine.travel(NOW, tick=False):
        statuses = [api.add("hits", {"delta": 1}).status_code for _ in range(5)]
    count = counts.get(namespace="test", name="hits", accuracy="accurate").count

    assert statuses == [200, 200, 200, 429, 429]
    assert count == 3


@pytest.mark.usefixtures("limited")
def test_throttle__lets_calls_through_while_the_cache_is_down(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fail(*_: Any, **__: Any) -> None:
        asked.append(1)
        raise ConnectionError("no route")

    monkeypatch.setattr(cache, "add", fail)

    answers = [api.get("namespaces").status_code for _ in range(6)]

    assert answers == [200] * 6
    # One failure, then the cache is left alone for a moment.
    assert len(asked) == 1


@pytest.mark.race
def test_throttle__counts_calls_at_the_same_time(
    threads: Threads, settings: Settings
) -> None:
    settings.COUNTERS_API_RATE_PER_MINUTE = 40
    barrier = Barrier(16, timeout=10)

    class Asked:
        auth = type("Auth", (), {"digest": "one"})()

    def ask() -> list[bool]:
        barrier.wait()
        view: Any = type("View", (), {})()
        asked: Any = Asked()
        return [TokenRate().allow_request(asked, view) for _ in range(10)]

    with time_machine.travel(NOW, tick=False):
        futures = [threads.submit(ask) for _ in range(16)]
        allowed = Counter(one for future in futures for one in future.result())

    assert allowed == {True: 40, False: 120}
