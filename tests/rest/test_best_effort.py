"""Best-effort namespaces over REST: they answer what they do not promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from counters.models import Namespace
from tests.counters.test_best_effort import NOT_SHARED
from tests.rest.conftest import Api, answer, counter, problem


def test_best_effort__says_what_it_does_not_promise(api: Api, loose: Namespace) -> None:
    added = answer(api.add("hits", {"delta": 3}))

    assert added["token"] is None
    assert "may be lost" in added["promise"]
    got = answer(api.post(f"{counter('hits')}/add?get=best-effort", {"delta": 4}))
    assert (got["count"], got["accuracy"]) == (7, "best-effort")
    assert "may be lost" in got["promise"]
    read = answer(api.read("hits"))
    assert (read["count"], read["accuracy"]) == (7, "best-effort")
    assert "may be lost" in read["promise"]
    cleared = answer(api.post(f"{counter('hits')}/clear", {}))
    assert (cleared["count_before"], cleared["token"]) == (7, None)
    assert "may be lost" in cleared["promise"]
    assert answer(api.read("hits"))["count"] == 0


def test_best_effort__deletes_a_counter(api: Api, loose: Namespace) -> None:
    api.add("hits", {"delta": 3})
    path = f"{counter('hits')}?confirm=hits"

    assert api.send("DELETE", path).status_code == 204
    problem(api.send("DELETE", path), 404, "counter-not-found")
    problem(api.read("hits"), 404, "counter-not-found")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("add", {"delta": 1, "token": "a"}),
        ("add", {"delta": 1, "generation_time": "2026-01-01T00:00:00Z"}),
        ("add?get=accurate", {"delta": 1}),
        ("add?get=eventual", {"delta": 1}),
        ("clear", {"token": "a"}),
        ("clear", {"generation_time": "2026-01-01T00:00:00Z"}),
    ],
)
def test_best_effort__refuses_what_a_cache_cannot_keep(
    api: Api, loose: Namespace, path: str, body: object
) -> None:
    api.add("hits", {"delta": 3})

    detail = problem(
        api.post(f"{counter('hits')}/{path}", body), 400, "not-for-best-effort"
    )["detail"]

    assert "only in the cache" in detail
    assert answer(api.read("hits"))["count"] == 3


@pytest.mark.parametrize("path", ["add", "clear"])
def test_best_effort__takes_a_token_in_the_header_as_little(
    api: Api, loose: Namespace, path: str
) -> None:
    body = {"delta": 1} if path == "add" else {}

    problem(
        api.post(
            f"{counter('hits')}/{path}", body, headers={"Idempotency-Key": "order 17"}
        ),
        400,
        "not-for-best-effort",
    )


@pytest.mark.parametrize("kind", NOT_SHARED)
def test_best_effort__without_a_shared_cache_says_so(
    api: Api, loose: Namespace, kind: str
) -> None:
    calls: dict[str, Callable[[], Any]] = {
        "add": lambda: api.add("hits", {"delta": 1}),
        "add and get": lambda: api.post(
            f"{counter('hits')}/add?get=best-effort", {"delta": 1}
        ),
        "read": lambda: api.read("hits"),
        "clear": lambda: api.post(f"{counter('hits')}/clear", {}),
        "delete": lambda: api.send("DELETE", f"{counter('hits')}?confirm=hits"),
    }
    with override_settings(CACHES={"default": NOT_SHARED[kind]}):
        for send in calls.values():
            body = problem(send(), 503, "no-shared-cache")
            assert "CACHE_URL" in body["detail"]


@pytest.mark.parametrize("count", [2**63 - 1, -(2**63), -1, 1])
def test_best_effort__clears_whatever_a_cache_can_count(
    api: Api, loose: Namespace, count: int
) -> None:
    api.add("hits", {"delta": count})

    cleared = answer(api.post(f"{counter('hits')}/clear", {}))

    assert int(cleared["count_before"]) == count
    assert answer(api.read("hits"))["count"] == 0


def test_best_effort__says_when_a_count_would_overflow(
    api: Api, loose: Namespace
) -> None:
    api.add("hits", {"delta": 2**63 - 1})

    body = problem(api.add("hits", {"delta": 1}), 400, "invalid")

    assert body["field"] == "delta"
    assert answer(api.read("hits"))["count"] == str(2**63 - 1)
