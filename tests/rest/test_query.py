"""Query parameters: each call takes only those that it describes, and each only once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from counters.models import Counter, Event
from counters.rest.base_view import CountersView
from tests.rest.conftest import Api, counter, problem
from tests.rest.test_access import CALLS


def patterns(of: Any) -> Any:
    for each in of.url_patterns:
        if isinstance(each, URLResolver):
            yield from patterns(each)
        elif isinstance(each, URLPattern):
            yield each


def test_every_call__declares_its_query_parameters() -> None:
    views = {
        view
        for pattern in patterns(get_resolver())
        if (view := getattr(pattern.callback, "view_class", None))
        and issubclass(view, CountersView)
    }
    calls = [
        getattr(view, method)
        for view in views
        for method in ("get", "post", "patch", "put", "delete")
        if hasattr(view, method)
    ]

    assert len(calls) > 15
    assert [call for call in calls if not hasattr(call, "query_parameters")] == []


@pytest.mark.parametrize("name", [*CALLS, "list namespaces", "create a namespace"])
def test_call__refuses_an_unknown_parameter_and_does_nothing(
    api: Api, name: str
) -> None:
    more: dict[str, tuple[str, str, str, object]] = {
        "list namespaces": ("", "GET", "namespaces", None),
        "create a namespace": ("", "POST", "namespaces", {"name": "new"}),
    }
    _, method, path, body = (CALLS | more)[name]
    path = path.replace("secret", "test")
    api.add("hits", {"delta": 1})
    data = b"" if body is None else json.dumps(body).replace("secret", "test").encode()

    for junk in ("dry_run=true", "token=abc", "", "format=json", "format=xml"):
        joined = f"{path}{'&' if '?' in path else '?'}{junk or '=x'}"
        answer = api.send(method, joined, data=data, content_type="application/json")
        body = problem(answer, 400, "invalid")
        assert isinstance(body, dict)
        assert body["field"] == "query"
        assert f"{junk.split('=')[0]!r} is not a query parameter" in body["detail"]

    assert Event.objects.count() == 1
    assert Counter.objects.count() == 1


@pytest.mark.parametrize(
    "name", [*(name for name in CALLS if CALLS[name][3] is None), "list namespaces"]
)
def test_call__refuses_a_body_that_nothing_reads(api: Api, name: str) -> None:
    more = {"list namespaces": ("", "GET", "namespaces", None)}
    _, method, path, _ = (CALLS | more)[name]
    path = path.replace("secret", "test")
    api.add("hits", {"delta": 1})

    for sent in {method, "HEAD" if method == "GET" else method}:
        answer = api.send(sent, path, data=b'{"confirm": "hits"}')
        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"
    body = problem(api.send(method, path, data=b"x"), 400, "invalid")

    assert body["field"] == "body"
    assert f"1 is not 0 bytes: this {method} call takes no body" in body["detail"]
    assert Counter.objects.count() == 1


def test_call__without_the_method_is_answered_so_whatever_the_body(api: Api) -> None:
    for method in ("GET", "DELETE"):
        answer = api.send(method, "events", data=b"{}")
        problem(answer, 405, "method-not-allowed")


def test_call__names_the_parameters_that_there_are(api: Api) -> None:
    def detail(path: str) -> str:
        return str(problem(api.get(path), 400)["detail"])

    series = detail(f"{counter('hits')}/series?tz=Europe/Paris")

    assert series.endswith("it takes bucket, from, gaps, to.")
    assert detail(f"{counter('hits')}?accurracy=accurate").endswith(" accuracy.")
    assert detail("namespaces/test?x").endswith("it takes none.")


@pytest.mark.parametrize(
    "query",
    ["accuracy=eventual&accuracy=accurate", "accuracy=eventual&accuracy=eventual"],
)
def test_call__refuses_a_parameter_given_twice(api: Api, query: str) -> None:
    api.add("hits", {"delta": 1})

    body = problem(api.get(f"{counter('hits')}?{query}"), 400, "invalid")

    assert body["field"] == "accuracy"
    assert "once" in body["detail"]


@pytest.mark.parametrize("path", ["healthz", "readyz", "metrics"])
def test_probe__may_carry_anything(db: None, client: Any, path: str) -> None:
    """Load balancers and scrapers add parameters of their own."""
    assert client.get(f"/{path}?cachebuster=1&cachebuster=2").status_code == 200
