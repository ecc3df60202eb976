"""`POST namespaces/{ns}/counters/{name}/clear`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.contrib.auth.models import User

from counters.models import Event, Namespace
from counters.recording import tokens
from tests.factories import fold_all, grant, timed_and_untimed
from tests.rest.conftest import Api, answer, counter, problem


def clear(api: Api, body: object = None, name: str = "hits", **options: Any) -> Any:
    return api.post(f"{counter(name)}/clear", {} if body is None else body, **options)


def count(api: Api, accuracy: str = "accurate", name: str = "hits") -> Any:
    return answer(api.read(name, f"?accuracy={accuracy}"))["count"]


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("total", [5, -5, 0])
def test_clear__sets_the_count_to_0(
    committed_api: Api, folded: bool, total: int
) -> None:
    api = committed_api
    api.add("hits", {"delta": total})
    if folded:
        fold_all()

    body = answer(clear(api))

    assert body.keys() == {"token", "event_time", "duplicate", "count_before"}
    assert (body["count_before"], body["duplicate"]) == (total, False)
    assert UUID(body["token"]).int >> 76 & 0xF == 7
    assert body["event_time"].endswith("Z")
    assert count(api) == 0
    fold_all()
    assert count(api, "eventual") == 0


def test_clear__takes_off_what_is_folded_and_what_is_not(committed_api: Api) -> None:
    api = committed_api
    api.add("hits", {"delta": 5})
    fold_all()
    api.add("hits", {"delta": 7})

    assert answer(clear(api))["count_before"] == 12
    assert Event.objects.count() == 3
    assert sum(Event.objects.values_list("delta", flat=True)) == 0


def test_clear__leaves_later_adds_and_other_counters(api: Api) -> None:
    for name in ("hits", "other"):
        api.add(name, {"delta": 5})

    clear(api)
    api.add("hits", {"delta": 3})

    assert (count(api), count(api, name="other")) == (3, 5)


def test_clear__without_any_body_is_taken(api: Api) -> None:
    api.add("hits", {"delta": 5})

    answer(api.send("POST", f"{counter('hits')}/clear"))

    assert count(api) == 0


@timed_and_untimed
@pytest.mark.parametrize("where", ["body", "header"])
@pytest.mark.parametrize("folded", [True, False])
def test_clear__repeated_changes_nothing(
    committed_api: Api, token: str, where: str, folded: bool
) -> None:
    api = committed_api
    api.add("hits", {"delta": 5})
    body = {"token": token} if where == "body" else {}
    headers = {"Idempotency-Key": token} if where == "header" else {}

    first = answer(clear(api, body, headers=headers))
    api.add("hits", {"delta": 3})
    if folded:
        fold_all()
    again = answer(clear(api, body, headers=headers))

    assert first["count_before"] == 5
    assert again == first | {"duplicate": True, "count_before": None}
    assert count(api) == 3


def test_clear__of_0_spends_its_token_too(api: Api) -> None:
    api.add("hits", {"delta": 0})
    clear(api, {"token": "monday"})
    api.add("hits", {"delta": 3})

    assert answer(clear(api, {"token": "monday"}))["duplicate"]
    assert count(api) == 3


def test_clear__prefers_the_generation_time_to_that_of_a_uuidv7(api: Api) -> None:
    now = datetime.now(UTC)
    order = tokens.new(now - timedelta(days=30)).text
    at = (now - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    api.add("hits", {"delta": 3})

    first, again = (
        answer(clear(api, {"token": order, "generation_time": at})) for _ in range(2)
    )

    assert (first["event_time"], first["duplicate"]) == (at, False)
    assert again["duplicate"]
    assert "generation_time" in problem(clear(api, {"token": order}), 422)["detail"]


def test_clear__may_use_the_token_of_an_add(api: Api) -> None:
    token = tokens.new().text
    api.add("hits", {"delta": 5, "token": token})

    body = answer(clear(api, {"token": token}))

    assert (body["duplicate"], body["count_before"]) == (False, 5)
    assert answer(api.add("hits", {"delta": 5, "token": token}))["duplicate"]
    assert count(api) == 0


def test_clear__may_use_one_token_on_several_counters(api: Api) -> None:
    for name in "ab":
        api.add(name, {"delta": 5})

    before = [
        answer(clear(api, {"token": "monday"}, name))["count_before"] for name in "ab"
    ]

    assert before == [5, 5]


@pytest.mark.parametrize(
    "total", [2**53, 2**63 - 1, 2**63, 3 * 2**63, -(2**63), -3 * 2**63]
)
@pytest.mark.parametrize("folded", [True, False])
def test_clear__of_counts_beyond_one_event(
    committed_api: Api, total: int, folded: bool
) -> None:
    api, left = committed_api, total
    while left:
        piece = max(min(left, 2**63 - 1), -(2**63))
        api.add("hits", {"delta": piece})
        left -= piece
    if folded:
        fold_all()

    body = answer(clear(api, {"token": "monday"}))

    assert body["count_before"] == str(total)
    assert count(api) == 0
    fold_all()
    assert count(api, "eventual") == 0
    assert answer(clear(api, {"token": "monday"}))["duplicate"]
    assert count(api) == 0


def test_clear__takes_a_generation_time(api: Api) -> None:
    at = datetime.now(UTC) - timedelta(hours=2)
    api.add("hits", {"delta": 5})
    body = {"token": "monday", "generation_time": at.isoformat()}

    first = answer(clear(api, body))

    assert datetime.fromisoformat(first["event_time"]) == at
    assert answer(clear(api, body))["duplicate"]
    # The time is the event's, also where the server makes the token.
    del body["token"]
    made = answer(clear(api, body))
    assert abs(datetime.fromisoformat(made["event_time"]) - at) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({"delta": 1}, 400, "'delta'"),
        ({"token": 7}, 400, "token: 7"),
        ({"token": ""}, 400, "token: ''"),
        ({"token": "a\0"}, 400, "token: 'a"),
        ({"generation_time": "yesterday"}, 400, "'yesterday'"),
        ({"generation_time": "1800-01-01T00:00:00Z"}, 400, "generation_time: '1800"),
        ({"token": "a", "generation_time": "1800-01-01T00:00:00Z"}, 400, "'1800"),
        ({"token": "a", "generation_time": "2001-02-03T04:05:06Z"}, 422, "2001-02-03"),
        ([], 400, "[]"),
        (b"{", 400, "JSON"),
    ],
)
def test_clear__names_what_is_wrong(
    api: Api, body: object, status: int, named: str
) -> None:
    api.add("hits", {"delta": 5})

    assert named in problem(clear(api, body), status)["detail"]
    assert count(api) == 5


def test_clear__of_an_unknown_counter_is_not_found(api: Api) -> None:
    problem(clear(api), 404, "counter-not-found")


@pytest.mark.parametrize("token", ["monday", "9b2c6f0e-3b0a-4a52-9a51-5b8a4a4f7a10"])
def test_clear__takes_a_token_again_once_the_accept_window_has_passed(
    api: Api, token: str
) -> None:
    """As an add does: the window is how long a repeat is known as one."""
    begun = datetime.now(UTC)
    with time_machine.travel(begun, tick=False) as clock:
        api.add("hits", {"delta": 5})
        answer(clear(api, {"token": token}))
        clock.move_to(begun + timedelta(hours=24))
        api.add("hits", {"delta": 3})
        assert answer(clear(api, {"token": token}))["duplicate"]
        assert count(api) == 3

        clock.move_to(begun + timedelta(hours=24, seconds=1))
        body = answer(clear(api, {"token": token}))
        assert (body["duplicate"], body["count_before"]) == (False, 3)
        assert answer(clear(api, {"token": token})) == body | {
            "duplicate": True,
            "count_before": None,
        }

    assert count(api) == 0


def test_clear__does_not_tell_the_count_to_whom_may_not_read_it(
    api: Api, api_of: Callable[[User], Api]
) -> None:
    writer = User.objects.create_user("writer")
    grant(Namespace.objects.get(), writer, "write")
    api.add("hits", {"delta": 5})

    body = answer(clear(api_of(writer)))

    assert body["count_before"] is None
    assert body["duplicate"] is False
    assert count(api) == 0
