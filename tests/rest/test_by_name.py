"""The calls with the counter's name in the body or the query, not in the path."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from counters.models import Counter, Event, Namespace
from rollups.rest.schemas import MOST_NAMES
from tests.factories import fold_all
from tests.rest.conftest import Api, answer, counter, problem

NAMES = [
    "hits",
    "a//b",
    "a/add",
    "100%",
    "%2F",
    "a b+c?d#e",
    "ü/é",
    "日本",
    "..",
    "x" * 200,
]


def post(api: Api, call: str, body: object, **options: Any) -> Any:
    return api.post(f"namespaces/test/{call}", body, **options)


def get(api: Api, call: str, name: str, more: str = "") -> Any:
    return api.get(f"namespaces/test/{call}?name={quote(name, safe='')}{more}")


@pytest.mark.parametrize("name", NAMES)
def test_calls_by_name__reach_the_counter_of_the_path_and_repeat_its_name(
    api: Api, name: str
) -> None:
    added = answer(post(api, "add", {"name": name, "delta": 3}))
    assert added.keys() == {"name", "token", "event_time", "duplicate"}
    assert answer(api.read(name, "?accuracy=accurate"))["count"] == 3
    both = answer(post(api, "add?get=accurate", {"name": name, "delta": 4}))
    assert both["count"] == 7
    [read] = answer(post(api, "read", {"names": [name], "accuracy": "accurate"}))[
        "results"
    ]
    assert (read["found"], read["count"]) == (True, 7)
    series = answer(get(api, "series", name, "&gaps=true"))
    assert len(series["buckets"]) == 60
    total = answer(get(api, "total", name))
    cleared = answer(post(api, "clear", {"name": name}))
    assert cleared["count_before"] == 7
    deleted = answer(post(api, "delete", {"name": name, "confirm": name}))
    problem(api.read(name), 404, "counter-not-found")

    for body in (added, both, read, series, total, cleared, deleted):
        assert body["name"] == name


def test_calls_by_name__answer_as_those_by_path_but_for_the_name(api: Api) -> None:
    at = "&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"
    token = {"token": "order 17"}
    by_path = [
        answer(api.add("hits", {"delta": 3, **token})) | {"duplicate": True},
        answer(api.get(f"{counter('hits')}/series?{at[1:]}")),
        answer(api.post(f"{counter('hits')}/clear", token))
        | {"duplicate": True, "count_before": None},
    ]

    by_name = [
        answer(post(api, "add", {"name": "hits", "delta": 3, **token})),
        answer(get(api, "series", "hits", at)),
        answer(post(api, "clear", {"name": "hits", **token})),
    ]

    assert by_name == [{"name": "hits", **body} for body in by_path]


def test_delete__by_query_repeats_the_name(api: Api) -> None:
    api.add("a/b", {"delta": 1})
    path = "namespaces/test/counters?name=a%2Fb"

    problem(api.send("DELETE", path), 400, "not-confirmed")
    problem(api.send("DELETE", f"{path}&confirm=a"), 400, "not-confirmed")
    body = answer(api.send("DELETE", f"{path}&confirm=a%2Fb"))

    assert body == {"name": "a/b"}
    assert not Counter.objects.exists()
    problem(api.send("DELETE", f"{path}&confirm=a%2Fb"), 404, "counter-not-found")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "hits"},
        {"name": "hits", "confirm": "hit"},
        {"name": "hits", "confirm": 5},
    ],
)
def test_delete__by_name_wants_it_twice(api: Api, body: object) -> None:
    api.add("hits", {"delta": 1})

    problem(post(api, "delete", body), 400, "not-confirmed")

    assert Counter.objects.exists()


@pytest.mark.parametrize("call", ["add", "clear", "delete"])
@pytest.mark.parametrize("name", [None, "", 5, ["hits"], "a\0b", "x" * 201])
def test_body__without_a_good_name_is_refused(
    api: Api, call: str, name: object
) -> None:
    given = {"name": name, "delta": 1} if call == "add" else {"name": name}
    code = "missing" if name is None else "invalid"

    body = problem(post(api, call, given), 400, code)

    assert body["field"] == "name"
    assert not Event.objects.exists()


@pytest.mark.parametrize("call", ["series", "total"])
def test_query__without_a_name_is_refused(api: Api, call: str) -> None:
    assert (
        problem(api.get(f"namespaces/test/{call}"), 400, "missing")["field"] == "name"
    )
    problem(get(api, call, "nothing"), 404, "counter-not-found")


def test_body__of_a_path_call_takes_no_name(api: Api) -> None:
    """Which of the two would count?"""
    body = problem(api.add("hits", {"name": "other", "delta": 1}), 400, "invalid")

    assert "'name'" in body["detail"] or '"name"' in body["detail"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("accuracy", ["eventual", "accurate"])
def test_read__answers_each_name_in_order(committed_api: Api, accuracy: str) -> None:
    api = committed_api
    for name, delta in (("a", 1), ("b", 2), ("c", 2**60)):
        for _ in range(8):
            api.add(name, {"delta": delta})
    fold_all()
    api.add("a", {"delta": 100})
    new = Counter.objects.create(namespace=Namespace.objects.get(), name="new")
    wanted = ["c", "a", "missing", "a", "new", "b"]

    results = answer(post(api, "read", {"names": wanted, "accuracy": accuracy}))[
        "results"
    ]

    assert [one["name"] for one in results] == wanted
    a = {"eventual": 8, "accurate": 108}[accuracy]
    assert [one["count"] for one in results] == [str(2**63), a, 0, a, 0, 16]
    assert [one["found"] for one in results] == [True, True, False, True, True, True]
    assert [one["pending"] for one in results] == [
        False,
        True,
        False,
        True,
        False,
        False,
    ]
    assert {one["accuracy"] for one in results} == {accuracy}
    for one in results:
        assert one.keys() == {
            *("name", "found", "count", "as_of", "pending", "accuracy"),
            "last_write_at",
        }
        if one["found"]:
            alone = answer(api.read(one["name"], f"?accuracy={accuracy}"))
            for field in ("count", "pending", "last_write_at"):
                assert alone[field] == one[field], field
    assert results[2]["last_write_at"] is None
    assert new.pk


def test_read__asks_for_the_folds_of_pending_counters(
    api: Api, triggers: list[list[int]], django_capture_on_commit_callbacks: Any
) -> None:
    api.add("hits", {"delta": 1})
    [counter_id] = Counter.objects.values_list("pk", flat=True)
    triggers.clear()

    answer(post(api, "read", {"names": ["hits", "missing"], "accuracy": "accurate"}))

    assert triggers == [[counter_id]]


def test_read__is_one_statement_however_many_names(api: Api) -> None:
    names = [f"counter {number}" for number in range(MOST_NAMES)]
    for accuracy in ("eventual", "accurate"):
        body = {"names": names, "accuracy": accuracy}
        answer(post(api, "read", {"names": ["a"]}))

        with CaptureQueriesContext(connection) as queries:
            results = answer(post(api, "read", body))["results"]

        assert len(results) == MOST_NAMES
        assert len([one for one in queries if "unnest" in one["sql"]]) == 1


def test_read__takes_the_longest_names(api: Api) -> None:
    names = ["😀" * 200] * MOST_NAMES

    results = answer(post(api, "read", {"names": names}))["results"]

    assert len(results) == MOST_NAMES


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "names"),
        ({"names": None}, "names"),
        ({"names": "hits"}, "names"),
        ({"names": {"a": 1}}, "names"),
        ({"names": ["a"] * (MOST_NAMES + 1)}, "names"),
        ({"names": ["a", ""]}, "names[1]"),
        ({"names": [None]}, "names[0]"),
        ({"names": ["a", "b", 3]}, "names[2]"),
        ({"names": ["a"], "accuracy": "exact"}, "accuracy"),
        ({"names": ["a"], "accuracy": ["eventual"]}, "accuracy"),
        ({"names": ["a"], "acuracy": "accurate"}, "body"),
    ],
)
def test_read__names_what_is_wrong(api: Api, body: object, field: str) -> None:
    assert problem(post(api, "read", body), 400)["field"] == field


def test_read__of_no_names_is_empty(api: Api) -> None:
    assert answer(post(api, "read", {"names": []})) == {"results": []}


def test_calls_by_name__of_a_best_effort_namespace(api: Api, loose: Namespace) -> None:
    added = answer(post(api, "add?get=best-effort", {"name": "hits", "delta": 3}))
    assert (added["name"], added["count"]) == ("hits", 3)
    results = answer(post(api, "read", {"names": ["none", "hits"]}))["results"]
    assert [(one["found"], one["count"]) for one in results] == [(False, 0), (True, 3)]
    assert all("may be lost" in one["promise"] for one in results)
    problem(
        post(api, "read", {"names": ["hits"], "accuracy": "accurate"}),
        400,
        "not-for-best-effort",
    )
    problem(get(api, "total", "hits"), 400, "not-for-best-effort")
    assert answer(post(api, "clear", {"name": "hits"}))["count_before"] == 3
    assert answer(post(api, "delete", {"name": "hits", "confirm": "hits"})) == {
        "name": "hits"
    }
