from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fold_counters_client import (
    AsyncClient,
    Client,
    NoAnswer,
    NotFound,
    Problem,
    Retries,
    Throttled,
    Unavailable,
)

from rollups import counts
from tests.client.conftest import ApplicationTransport

Answering = Callable[..., Client]
RECORDED = {
    "name": "hits",
    "token": "t",
    "event_time": "2026-01-01T00:00:00Z",
    "duplicate": False,
}


def refusal(status: int, **headers: str) -> httpx.Response:
    body = {"code": "not-now", "detail": "Later.", "status": status}
    return httpx.Response(status, json=body, headers=headers)


def test_add__whose_answer_is_lost_counts_once(
    client: Client, transport: ApplicationTransport
) -> None:
    transport.lose_answers = 2

    recorded = client.add("test", "hits", 5)

    bodies = [json.loads(request.content) for request in transport.requests]
    assert [body["token"] for body in bodies] == [recorded.token] * 3
    assert recorded.duplicate
    assert counts.get(namespace="test", name="hits", accuracy="accurate").count == 5


def test_add_many__whose_answer_is_lost_counts_once(
    client: Client, transport: ApplicationTransport
) -> None:
    transport.lose_answers = 1

    with client.batcher() as batch:
        batch.add("test", "hits", 2)
        batch.add("test", "hits", 3)

    assert counts.get(namespace="test", name="hits", accuracy="accurate").count == 5


def test_clear__whose_answer_is_lost_clears_once(
    client: Client, transport: ApplicationTransport
) -> None:
    client.add("test", "hits", 5)
    transport.lose_answers = 1

    cleared = client.clear("test", "hits")

    assert cleared.duplicate


def test_delete__whose_answer_is_lost_is_done(
    client: Client, transport: ApplicationTransport
) -> None:
    client.add("test", "hits")
    transport.lose_answers = 1

    client.delete_counter("test", "hits")

    with pytest.raises(NotFound):
        client.delete_counter("test", "hits")


@pytest.mark.parametrize(
    "outcome",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        refusal(502),
        refusal(503),
        refusal(504),
        refusal(429),
    ],
)
def test_add__is_sent_again(
    answering: Answering, outcome: Any, waits: list[float]
) -> None:
    client = answering(outcome, outcome, httpx.Response(200, json=RECORDED))

    client.add("test", "hits")

    assert len(waits) == 2
    assert 0 <= waits[0] <= 0.1
    assert 0 <= waits[1] <= 0.2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 500])
def test_add__that_is_refused_is_not(answering: Answering, status: int) -> None:
    with pytest.raises(Problem) as caught:
        answering(refusal(status)).add("test", "hits")

    assert caught.value.status == status
    assert caught.value.token


def test_retry__waits_as_long_as_it_is_asked_to(
    answering: Answering, waits: list[float]
) -> None:
    later = refusal(429, **{"Retry-After": "7"})

    answering(later, httpx.Response(200, json=RECORDED)).add("test", "hits")

    assert 7 <= waits[0] <= 7.1


def test_retry__that_would_wait_too_long_is_given_up(
    answering: Answering, waits: list[float]
) -> None:
    with pytest.raises(Throttled):
        answering(refusal(429, **{"Retry-After": "31"})).add("test", "hits")

    assert waits == []


def test_retry__ends(answering: Answering, waits: list[float]) -> None:
    retries = Retries(attempts=3)

    with pytest.raises(Unavailable):
        answering(*[refusal(503)] * 3, retries=retries).add("test", "hits")
    with pytest.raises(NoAnswer) as caught:
        answering(*[httpx.ReadTimeout("slow")] * 3, retries=retries).add("t", "x")

    assert len(waits) == 4
    assert caught.value.token
    assert isinstance(caught.value.__cause__, httpx.ReadTimeout)


def test_best_effort__is_sent_again_only_where_it_cannot_have_counted(
    answering: Answering,
) -> None:
    done = httpx.Response(200, json={**RECORDED, "token": None})

    answering(httpx.ConnectError("refused"), refusal(429), done).add(
        "cache", "hits", best_effort=True
    )
    with pytest.raises(NoAnswer):
        answering(httpx.ReadTimeout("slow"), done).add(
            "cache", "hits", best_effort=True
        )


def test_problem__of_a_proxy_needs_no_json(answering: Answering) -> None:
    page = httpx.Response(500, text="<h1>oops</h1>")

    with pytest.raises(Problem) as caught:
        answering(page).add("test", "hits")

    assert (caught.value.code, caught.value.detail) == (
        "no-problem-json",
        "<h1>oops</h1>",
    )


def test_batcher__sends_after_an_error_too(client: Client) -> None:
    def fail_half_way() -> None:
        with client.batcher() as batch:
            batch.add("test", "hits")
            raise RuntimeError("something else")

    with pytest.raises(RuntimeError):
        fail_half_way()

    assert counts.get(namespace="test", name="hits", accuracy="accurate").count == 1


def test_async_client__retries_with_the_same_token() -> None:
    tokens = []

    async def answer(request: httpx.Request) -> httpx.Response:
        tokens.append(json.loads(request.content)["token"])
        if len(tokens) == 1:
            raise httpx.ReadTimeout("lost", request=request)
        return httpx.Response(200, json=RECORDED)

    async def run() -> None:
        transport = httpx.MockTransport(answer)
        async with AsyncClient("http://test", "secret", transport=transport) as client:
            await client.add("test", "hits")

    asyncio.run(run())

    assert len(tokens) == 2
    assert len(set(tokens)) == 1
