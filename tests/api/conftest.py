"""An API client whose requests carry the path as a server passes it on."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import Client
from knox.models import AuthToken

from counters.models import Grant, Namespace


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


@pytest.fixture
def api(namespace: Namespace, triggers: list[list[int]]) -> Api:
    user = User.objects.create_user("machine")
    Grant.objects.create(
        namespace=namespace, user=user, can_read=True, can_write=True, can_manage=True
    )
    _, token = AuthToken.objects.create(user)
    return Api(str(token))
