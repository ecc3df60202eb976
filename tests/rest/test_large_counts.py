"""Counts beyond 2^53 and 2^63, exact from the add to every answer, as text in JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.factories import fold_all
from tests.rest.conftest import Api, answer, counter

pytestmark = pytest.mark.django_db(transaction=True)

MOST = 2**63 - 1
# What is added -> what it comes to.
CASES = {
    "2^53 - 1": ([2**53 - 1], 2**53 - 1),
    "2^53": ([2**53 - 1, 1], 2**53),
    "2^53 + 1": ([2**53, 1], 2**53 + 1),
    "-2^53 - 1": ([-(2**53), -1], -(2**53) - 1),
    "2^63 - 1": ([MOST], MOST),
    "2^63": ([MOST, 1], 2**63),
    "-2^63": ([-(2**63)], -(2**63)),
    "-2^63 - 1": ([-(2**63), -1], -(2**63) - 1),
    "10 times 2^63 - 10": ([MOST] * 10, 10 * MOST),
    "there and back": ([MOST, MOST, -MOST, -MOST, 7], 7),
}


def sent(number: int) -> int | str:
    """How a number must be sent, so that JavaScript reads it exactly."""
    return number if abs(number) < 2**53 else str(number)


def read_by_javascript(response: Any) -> Any:
    """Read a body as JavaScript does: every number is a float."""
    return json.loads(response.content, parse_int=float)


@pytest.mark.parametrize("in_a_batch", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_count__is_exact_from_the_add_to_every_answer(
    committed_api: Api, case: str, in_a_batch: bool
) -> None:
    api, (deltas, total) = committed_api, CASES[case]
    if in_a_batch:
        events = [{"namespace": "test", "name": "hits", "delta": d} for d in deltas]
        answer(api.post("events", {"events": events}))
    else:
        *first, last = deltas
        for delta in first:
            answer(api.add("hits", {"delta": delta}))
        got = api.post(f"{counter('hits')}/add?get=accurate", {"delta": last})
        assert answer(got)["count"] == sent(total)
    accurate_before = answer(api.read("hits", "?accuracy=accurate"))["count"]
    fold_all()
    today = datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")

    reads = {
        "accurate": accurate_before,
        "accurate, folded": answer(api.read("hits", "?accuracy=accurate"))["count"],
        "eventual": answer(api.read("hits"))["count"],
        "list": answer(api.get("namespaces/test/counters"))["results"][0]["count"],
        "top": answer(api.get("namespaces/test/counters?ordering=-count"))["results"][
            0
        ]["count"],
        "series": sum(
            int(bucket["delta"])
            for bucket in answer(
                api.get(f"{counter('hits')}/series?bucket=day&from={today}")
            )["buckets"]
        ),
        "clear": answer(api.post(f"{counter('hits')}/clear", {}))["count_before"],
    }

    assert reads == dict.fromkeys(reads, sent(total)) | {"series": total}
    assert answer(api.read("hits", "?accuracy=accurate"))["count"] == 0
    fold_all()
    assert answer(api.read("hits"))["count"] == 0


@pytest.mark.parametrize("delta", [2**53, -(2**53) - 1, MOST, -(2**63)])
def test_delta__may_come_as_text_as_it_is_answered(
    committed_api: Api, delta: int
) -> None:
    api, digits = committed_api, str(delta)
    event = {"namespace": "test", "name": "hits", "delta": digits, "token": "b"}

    added = answer(api.post(f"{counter('hits')}/add?get=accurate", {"delta": digits}))
    answer(api.post("events", {"events": [event]}))
    repeat = api.add("hits", {"delta": delta, "token": "b"})

    assert added["count"] == digits
    assert answer(repeat)["duplicate"]
    assert answer(api.read("hits", "?accuracy=accurate"))["count"] == str(2 * delta)


@pytest.mark.parametrize("total", [2**53 - 1, 2**53 + 1, MOST])
def test_count__is_exact_where_every_json_number_is_a_float(
    committed_api: Api, total: int
) -> None:
    committed_api.add("hits", {"delta": total})
    fold_all()

    responses = [
        committed_api.read("hits"),
        committed_api.get("namespaces/test/counters"),
        committed_api.post(f"{counter('hits')}/add?get=accurate", {"delta": 0}),
    ]

    for response in responses:
        body = read_by_javascript(response)
        [count] = [one["count"] for one in body.get("results", [body])]
        assert int(count) == total


def test_list__pages_through_counts_beyond_every_integer_type(
    committed_api: Api,
) -> None:
    for name, times in {"a": 3, "b": 2, "c": 1}.items():
        for _ in range(times):
            committed_api.add(name, {"delta": MOST})
    fold_all()

    page = answer(committed_api.get("namespaces/test/counters?ordering=-count&limit=1"))
    seen = [page["results"][0]["count"]]
    while page["next"]:
        page = answer(committed_api.get(page["next"].partition("/api/v1/")[2]))
        seen.append(page["results"][0]["count"])

    assert seen == [str(3 * MOST), str(2 * MOST), str(MOST)]
