"""`POST events`: a batch, all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from counters.models import Counter, Event, LastWrite, Namespace
from counters.recording import tokens
from tests.factories import fold_all, grant, timed_and_untimed
from tests.rest.conftest import Api, answer, problem

GOOD = {"namespace": "test", "name": "good", "delta": 1}


def send(api: Api, *events: object) -> Any:
    return api.post("events", {"events": list(events)})


def event(**fields: object) -> dict[str, object]:
    return GOOD | fields


def test_events__are_answered_one_by_one_in_order(api: Api) -> None:
    given = [tokens.new().text for _ in range(3)]

    results = answer(
        send(
            api,
            *(event(name=f"c{i % 2}", delta=i, token=t) for i, t in enumerate(given)),
        )
    )["results"]

    assert [one["token"] for one in results] == given
    assert {frozenset(one) for one in results} == {
        frozenset({"token", "event_time", "duplicate"})
    }
    assert all(one["event_time"].endswith("Z") for one in results)
    assert not any(one["duplicate"] for one in results)
    counts = [api.read(f"c{i}", "?accuracy=accurate").json()["count"] for i in (0, 1)]
    assert counts == [2, 1]


def test_events__without_tokens_count_each(api: Api) -> None:
    results = answer(send(api, GOOD, GOOD, GOOD))["results"]

    assert [one["token"] for one in results] == [None] * 3
    assert Event.objects.filter(token=None).count() == 3


def test_events__of_an_empty_batch_are_no_error(api: Api) -> None:
    assert answer(send(api)) == {"results": []}


@timed_and_untimed
def test_events__repeated_within_and_across_batches_count_once(
    api: Api, token: str
) -> None:
    twice = [event(token=token), event(token=token)]

    first = answer(send(api, *twice))["results"]
    again = answer(send(api, event(), *twice))["results"]

    assert [one["duplicate"] for one in first] == [False, True]
    assert [one["duplicate"] for one in again] == [False, True, True]
    assert len({one["event_time"] for one in (*first, *again[1:])}) == 1
    assert Event.objects.count() == 2


@timed_and_untimed
def test_events__repeat_a_single_add_and_the_other_way_round(
    api: Api, token: str
) -> None:
    single = answer(api.add("good", {"delta": 1, "token": token}))
    [batched] = answer(send(api, event(token=token)))["results"]
    assert batched == single | {"duplicate": True}

    [batched] = answer(send(api, event(name="other", token=token)))["results"]
    single = answer(api.add("other", {"delta": 1, "token": token}))
    assert single == batched | {"duplicate": True}


def test_events__may_use_one_token_on_several_counters(api: Api) -> None:
    results = answer(
        send(api, *(event(name=name, token="page view") for name in "abc"))
    )["results"]

    assert not any(one["duplicate"] for one in results)
    assert Event.objects.count() == 3


def test_events__have_the_databases_time(
    is_now: Callable[[datetime], bool], api: Api
) -> None:
    results = answer(send(api, event(), event(token="order 17")))["results"]

    for one in results:
        assert is_now(datetime.fromisoformat(one["event_time"]))


def test_events__keep_their_generation_times(api: Api) -> None:
    at = datetime.now(UTC) - timedelta(hours=3)

    [result] = answer(send(api, event(token="t", generation_time=at.isoformat())))[
        "results"
    ]

    assert datetime.fromisoformat(result["event_time"]) == at
    assert Event.objects.get().event_time == at


BAD_EVENTS: dict[str, tuple[object, int, str, str]] = {
    "not an object": (17, 400, "invalid", "17"),
    "a list": ([], 400, "invalid", "[]"),
    "null": (None, 400, "invalid", "body: null"),
    "unknown field": (event(tokn="x"), 400, "invalid", "'tokn'"),
    "no namespace": ({"name": "good", "delta": 1}, 400, "missing", "namespace"),
    "namespace is a number": (event(namespace=5), 400, "invalid", "namespace: 5"),
    "namespace is an object": (event(namespace={}), 400, "invalid", "namespace: {}"),
    "unknown namespace": (
        event(namespace="nowhere"),
        404,
        "namespace-not-found",
        "'nowhere'",
    ),
    "namespace with NUL": (event(namespace="\0"), 404, "namespace-not-found", "x00"),
    "no name": ({"namespace": "test", "delta": 1}, 400, "missing", "name: missing"),
    "name too long": (event(name="x" * 201), 400, "invalid", "name: 'xxx"),
    "name with NUL": (event(name="a\0"), 400, "invalid", "name: 'a\\x00'"),
    "half a surrogate pair": (event(name="\ud800"), 400, "invalid", "\\ud800"),
    "no delta": ({"namespace": "test", "name": "good"}, 400, "missing", "delta"),
    "delta is a fraction": (event(delta=0.5), 400, "invalid", "delta: 0.5"),
    "delta is text": (event(delta="1"), 400, "invalid", "delta: '1'"),
    "delta is a claim": (event(delta=True), 400, "invalid", "delta: true"),
    "delta above 2^63": (event(delta=2**63), 400, "invalid", str(2**63)),
    "delta below -2^63": (event(delta=-(2**63) - 1), 400, "invalid", "delta: -9"),
    "token is a number": (event(token=7), 400, "invalid", "token: 7"),
    "token is empty": (event(token=""), 400, "invalid", "token: ''"),
    "time without offset": (
        event(generation_time="2026-01-01T00:00:00"),
        400,
        "invalid",
        "generation_time",
    ),
    "too old": (
        event(token="t", generation_time="2001-02-03T04:05:06Z"),
        422,
        "outside-accept-window",
        "2001-02-03T04:05:06Z",
    ),
    "UUIDv7 of long ago": (
        event(token="01930000-0000-7000-8000-000000000000"),
        422,
        "outside-accept-window",
        "accept window",
    ),
    "conflict within": (event(delta=2, token="fresh"), 409, "token-conflict", "fresh"),
    "best-effort": (
        event(namespace="loose"),
        400,
        "not-for-best-effort",
        "'loose'",
    ),
}


@pytest.mark.parametrize("position", [0, 1, 5])
@pytest.mark.parametrize("case", BAD_EVENTS)
def test_events__of_which_one_is_bad_are_refused_by_its_index(
    api: Api, case: str, position: int
) -> None:
    bad, status, code, named = BAD_EVENTS[case]
    loose = Namespace.objects.create(name="loose", counter_type="best-effort")
    grant(loose, User.objects.get(), "write")
    events: list[object] = [event(name=f"new {i}") for i in range(5)]
    if case == "conflict within":
        # Of the two, the second in the batch is the one at fault.
        events[0] = event(token="fresh")
        position = max(position, 1)
    events.insert(position, bad)

    body = problem(send(api, *events), status, code)

    assert body["index"] == position
    assert body["detail"].startswith(f"events[{position}]: ")
    assert named in body["detail"]
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
@timed_and_untimed
@pytest.mark.parametrize("position", [0, 20])
def test_events__of_which_one_conflicts_leave_nothing_to_count(
    committed_api: Api, token: str, position: int
) -> None:
    api = committed_api
    answer(api.add("used", {"delta": 1, "token": token}))
    events = [event(name=f"new {i}", delta=7) for i in range(20)]
    events.insert(position, event(name="used", delta=5, token=token))

    body = problem(send(api, *events), 409, "token-conflict")

    assert (body["index"], body["first_delta"], body["delta"]) == (position, 1, 5)
    assert Event.objects.count() == LastWrite.objects.count() == 1
    fold_all()
    listed = answer(api.get("namespaces/test/counters"))["results"]
    assert sum(one["count"] for one in listed) == 1


def test_events__name_the_first_bad_one_of_several(api: Api) -> None:
    body = problem(send(api, GOOD, event(delta="x"), event(name="")), 400)

    assert body["index"] == 1


def test_events__in_a_namespace_without_the_right_to_write_are_refused(
    api: Api,
) -> None:
    user = User.objects.get()
    grant(Namespace.objects.create(name="looks"), user, "read")
    Namespace.objects.create(name="hidden")

    seen = problem(send(api, GOOD, event(namespace="looks")), 403, "access-denied")
    hidden = problem(send(api, GOOD, event(namespace="hidden")), 404)
    missing = problem(send(api, GOOD, event(namespace="hidde_")), 404)

    assert (seen["index"], seen["right"], seen["namespace"]) == (1, "write", "looks")
    assert hidden["detail"].replace("hidden", "hidde_") == missing["detail"]
    assert not Event.objects.exists()


def test_events__with_a_token_in_the_header_are_refused(api: Api) -> None:
    body = problem(
        api.post("events", {"events": [GOOD]}, headers={"Idempotency-Key": "order 17"}),
        400,
        "invalid",
    )

    assert body["field"] == "Idempotency-Key"
    assert "a token of its own" in body["detail"]
    assert not Event.objects.exists()


def test_events__may_be_of_several_namespaces(api: Api) -> None:
    grant(Namespace.objects.create(name="other"), User.objects.get(), "write")

    answer(send(api, GOOD, event(namespace="other"), GOOD))

    assert Counter.objects.count() == 2
    assert Event.objects.count() == 3


def test_events__may_be_ten_thousand(api: Api) -> None:
    batch = [event(name=f"c{i % 100}", delta=i) for i in range(10_000)]

    results = answer(send(api, *batch))["results"]

    assert len(results) == 10_000
    assert Event.objects.count() == 10_000
    counted = api.read("c7", "?accuracy=accurate").json()["count"]
    assert counted == sum(range(7, 10_000, 100))


def test_events__of_too_large_a_body_are_told_the_limit(api: Api) -> None:
    body = problem(api.post("events", b" " * (16 * 1024**2 + 1)), 413, "too-large")

    assert "16,777,216 bytes" in body["detail"]


def test_events__may_not_be_more_than_ten_thousand(api: Api) -> None:
    body = problem(send(api, *([GOOD] * 10_001)), 413, "batch-too-large")

    assert (body["events"], body["most"]) == (10_001, 10_000)
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        {"events": None},
        {"events": {"0": GOOD}},
        {"events": "x"},
        {"events": [], "more": 1},
        {"event": [GOOD]},
        b"{",
        b"",
    ],
)
def test_events__that_are_no_list_are_refused(api: Api, body: object) -> None:
    problem(api.post("events", body), 400)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_events__take_no_other_method(api: Api, method: str) -> None:
    problem(api.send(method, "events"), 405)


def test_events__need_a_token(api: Api) -> None:
    api.headers = {}

    problem(send(api, GOOD), 401)
    assert not Event.objects.exists()
