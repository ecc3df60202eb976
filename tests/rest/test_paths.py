"""Paths that do not exist: hints for programs, pages for people."""

from __future__ import annotations

import pytest
from django.test import Client

from counters.models import Counter, Event
from tests.rest.conftest import Api, answer, counter, problem

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("POST", "namespaces/test/counters/hits/add/", "counters/hits/add"),
        ("POST", "namespaces/test/counters/hits/clear/", "counters/hits/clear"),
        ("GET", "namespaces/test/counters/hits/series/", "counters/hits/series"),
        ("GET", "namespaces/test/", "namespaces/test"),
        ("POST", "namespaces/test/read/", "namespaces/test/read"),
        ("POST", "events/", "/api/v1/events"),
    ],
)
def test_path__with_a_needless_slash_is_answered_by_the_right_one(
    api: Api, method: str, path: str, right: str
) -> None:
    body = problem(api.send(method, path), 404, "not-found")

    assert body["detail"].endswith(f"{right}'?")
    assert not Counter.objects.exists()


def test_path__with_a_needless_slash_wants_no_csrf_token(api: Api) -> None:
    client = Client(enforce_csrf_checks=True)

    answered = client.post(
        "/api/v1/namespaces/test/counters/hits/add/",
        {"delta": 1},
        content_type="application/json",
    )

    assert "Did you mean" in problem(answered, 404, "not-found")["detail"]


def test_name__may_end_as_such_a_path_does(api: Api) -> None:
    for name in ("a/add/", "a/series/"):
        api.add(name, {"delta": 3})
        assert answer(api.read(name, "?accuracy=accurate"))["count"] == 3
        assert api.post(f"{counter(name)}/clear", {}).status_code == 200

    assert Event.objects.count() == 4


@pytest.mark.parametrize(
    ("path", "right"),
    [("/admin", "/admin/"), ("/ops/", "/ops"), ("/api/docs/", "/api/docs")],
)
def test_path__of_a_page_with_the_wrong_slash_leads_to_it(
    client: Client, path: str, right: str
) -> None:
    in_a_browser = client.get(path, headers=BROWSER)
    in_a_program = client.get(path)

    assert (in_a_browser.status_code, in_a_browser["Location"]) == (302, right)
    assert repr(right) in problem(in_a_program, 404, "not-found")["detail"]
    # A browser would repeat it without its body.
    assert client.post(path, headers=BROWSER).status_code == 404


@pytest.mark.parametrize("path", ["/", "/nothing", "/nothing/", "//admin", "/<b>"])
def test_path__without_anything_is_a_page_for_people(client: Client, path: str) -> None:
    page = client.get(path, headers=BROWSER)

    assert page.status_code == 404
    assert page["Content-Type"].startswith("text/html")
    text = page.content.decode()
    assert "There is nothing at" in text
    assert '<a href="/ops">' in text
    assert "<b>" not in text
    problem(client.get(path), 404, "not-found")
    problem(client.get(path, headers={"Accept": "*/*"}), 404, "not-found")


@pytest.mark.django_db
def test_page__of_the_admin_that_is_not_there_leads_nowhere_else(
    admin_client: Client,
) -> None:
    for path in (
        "/admin/nothing",
        "/admin/nothing/",
        "/admin/counters/counter/1/change/",
    ):
        assert admin_client.get(path, headers=BROWSER).status_code in {302, 404}
        followed = admin_client.get(path, headers=BROWSER, follow=True)
        assert len(followed.redirect_chain) < 3


def test_refusal__is_told_to_the_client_and_not_logged(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    problem(api.add("hits", {"delta": "x"}), 400)
    problem(api.get("nothing"), 404)

    assert caplog.records == []
