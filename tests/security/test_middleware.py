"""API calls with a token skip the middleware of pages; calls with a session do not."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from counters.models import Event, Namespace
from tests.rest.conftest import Api, answer, problem

NAMESPACES = "/api/v1/namespaces"


@pytest.fixture
def signed_in(namespace: Namespace) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("boss"))
    return client


def test_call__with_a_token_loads_no_session(api: Api) -> None:
    for scheme in ("Token", "token", "Bearer"):
        api.headers = {
            "Authorization": f"{scheme} {api.headers['Authorization'].split()[1]}"
        }
        answered = api.get("namespaces")

        assert answer(answered)["results"]
        assert not hasattr(answered.wsgi_request, "session")


def test_call__with_a_session_keeps_it_and_its_csrf_check(signed_in: Client) -> None:
    answered = signed_in.get(NAMESPACES)

    assert answered.status_code == 200
    assert hasattr(answered.wsgi_request, "session")
    refused = signed_in.post(
        f"{NAMESPACES}/test/counters/hits/add",
        {"delta": 1},
        content_type="application/json",
    )
    problem(refused, 403, "permission-denied")
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "header", ["Token", "Token ", "Token x", "Bearer ", "Bearer x"]
)
def test_call__with_a_wrong_token_is_refused_in_a_session_too(
    signed_in: Client, header: str
) -> None:
    refused = signed_in.get(NAMESPACES, headers={"Authorization": header})

    problem(refused, 401, "authentication-failed")


def test_call__with_another_scheme_uses_the_session(signed_in: Client) -> None:
    answered = signed_in.get(NAMESPACES, headers={"Authorization": "Basic Ym9zczo="})

    assert answered.status_code == 200


@pytest.mark.parametrize("path", ["/ops", "/admin/", "/api/docs"])
def test_page__has_its_session_whatever_headers_say(
    signed_in: Client, path: str
) -> None:
    page = signed_in.get(path, headers={"Authorization": "Token x"})

    assert page.status_code == 200
    assert hasattr(page.wsgi_request, "session")
