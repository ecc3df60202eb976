"""An API client whose requests carry the path as a server passes it on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import Client
from knox.models import AuthToken

from counters.models import Namespace
from tests.factories import grant


class Api:
    """Sends JSON with a token; `path` is relative to /api/v1/ and percent-encoded."""

    def __init__(self, token: str) -> None:
        self.headers = {"Authorization": f"Token {token}"}
        # An error that nobody foresaw is an answer of 500, as in production.
        self.client = Client(raise_request_exception=False)

    def send(self, method: str, path: str, **options: Any) -> Any:
        headers = self.headers | options.pop("headers", {})
        full = f"/api/v1/{path}"
        return self.client.generic(
            method, full, headers=headers, RAW_URI=full, **options
        )

    def get(self, path: str, **options: Any) -> Any:
        return self.send("GET", path, **options)

    def post(self, path: str, body: object = None, **options: Any) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send(
            "POST", path, data=data, content_type="application/json", **options
        )

    def add(
        self, name: str, body: object, *, namespace: str = "test", **options: Any
    ) -> Any:
        return self.post(f"{counter(name, namespace)}/add", body, **options)

    def read(self, name: str, query: str = "", *, namespace: str = "test") -> Any:
        return self.get(f"{counter(name, namespace)}{query}")


def counter(name: str, namespace: str = "test") -> str:
    return f"namespaces/{quote(namespace, safe='')}/counters/{quote(name, safe='')}"


@contextmanager
def named(case: str) -> Iterator[None]:
    """Say which of a test's cases it was that failed."""
    try:
        yield
    except Exception as error:
        error.add_note(f"Case: {case}")
        raise


def problem(response: Any, status: int, code: str | None = None) -> dict[str, Any]:
    """Return the body of a well-formed problem answer."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert {"type", "title", "status", "code", "detail"} <= body.keys()
    assert body["status"] == status
    assert code in {None, body["code"]}, body
    return body


def answer(response: Any) -> Any:
    """Return the body of an answer of 200."""
    assert response.status_code == 200, response.content
    return response.json()


@pytest.fixture
def api_of() -> Callable[[User], Api]:
    """Makes a client with a new token of a user."""

    def make(user: User) -> Api:
        _, token = AuthToken.objects.create(user)
        return Api(str(token))

    return make


@pytest.fixture
def api(
    namespace: Namespace, triggers: list[list[int]], api_of: Callable[[User], Api]
) -> Api:
    user = User.objects.create_user("machine")
    grant(namespace, user, "read write manage")
    return api_of(user)


@pytest.fixture
def committed_api(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    api_of: Callable[[User], Api],
) -> Api:
    """As `api`, on a database where a fold sees what was added."""
    user = User.objects.create_user("machine")
    grant(committed_namespace, user, "read write manage")
    return api_of(user)
