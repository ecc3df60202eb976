"""`POST .../add?get=accurate|eventual`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from counters.models import Event, Namespace
from counters.namespaces import lookup
from tests.factories import fold_all, grant
from tests.rest.conftest import Api, answer, counter, problem


def add(api: Api, get: str, body: object, **options: Any) -> Any:
    return api.post(f"{counter('hits')}/add?get={get}", body, **options)


def test_add_and_get__answers_both(api: Api) -> None:
    body = answer(add(api, "accurate", {"delta": 3}))

    assert body.keys() == {
        *("token", "event_time", "duplicate"),
        *("count", "as_of", "pending", "accuracy"),
    }
    assert (body["count"], body["pending"], body["accuracy"]) == (3, True, "accurate")
    assert body["duplicate"] is False


@pytest.mark.django_db(transaction=True)
def test_add_and_get__reads_eventually_or_accurately(committed_api: Api) -> None:
    add(committed_api, "accurate", {"delta": 3})
    fold_all()

    eventual = answer(add(committed_api, "eventual", {"delta": 4}))
    accurate = answer(add(committed_api, "accurate", {"delta": 5}))

    assert (eventual["count"], eventual["accuracy"]) == (3, "eventual")
    assert (accurate["count"], accurate["accuracy"]) == (12, "accurate")
    assert eventual["as_of"] < accurate["as_of"]


def test_add_and_get__of_a_repeat_reads_the_count_of_now(api: Api) -> None:
    add(api, "accurate", {"delta": 3, "token": "a"})
    add(api, "accurate", {"delta": 4})

    body = answer(add(api, "accurate", {"delta": 3, "token": "a"}))

    assert (body["duplicate"], body["count"]) == (True, 7)


def test_add_and_get__sends_large_counts_as_text(api: Api) -> None:
    add(api, "accurate", {"delta": 2**63 - 1})

    body = answer(add(api, "accurate", {"delta": 2**63 - 1}))

    assert body["count"] == str(2**64 - 2)


@pytest.mark.parametrize("get", ["exact", "true", "", "best-effort", "%00"])
def test_add_and_get__of_an_unknown_accuracy_adds_nothing(api: Api, get: str) -> None:
    body = problem(add(api, get, {"delta": 3}), 400, "invalid")

    assert body["field"] == "get"
    assert not Event.objects.exists()


@pytest.mark.parametrize("body", [{}, {"delta": "x"}, b"{"])
def test_add_and_get__names_what_is_wrong_with_the_body(api: Api, body: object) -> None:
    problem(add(api, "accurate", body), 400)

    assert not Event.objects.exists()


@pytest.mark.parametrize("rights", ["read", "write", "manage", "read manage"])
def test_add_and_get__needs_the_rights_to_read_and_write(
    api: Api, api_of: Callable[[User], Api], namespace: Namespace, rights: str
) -> None:
    user = User.objects.create_user("half")
    grant(namespace, user, rights)

    body = problem(add(api_of(user), "accurate", {"delta": 3}), 403, "access-denied")

    assert body["right"] == ("read" if "read" not in rights else "write")
    assert not Event.objects.exists()


@pytest.mark.parametrize("counter_type", ["eventual", "accurate"])
def test_get__answers_by_the_namespaces_type_where_the_call_does_not_say(
    api: Api, namespace: Namespace, counter_type: str
) -> None:
    Namespace.objects.update(counter_type=counter_type)
    lookup.forget_all()
    api.add("hits", {"delta": 3})

    body = answer(api.read("hits"))

    assert body["accuracy"] == counter_type
    assert body["count"] == {"eventual": 0, "accurate": 3}[counter_type]
    assert answer(api.read("hits", "?accuracy=eventual"))["accuracy"] == "eventual"
