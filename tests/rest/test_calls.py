"""Ordinary calls do without DRF's request, and answer the same as DRF."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from rest_framework.views import APIView

from counters.models import Event
from tests.rest.conftest import Api, answer, counter, problem

JSON = "application/json"
HITS = counter("hits")
ADD = {"delta": 1, "token": "again"}
EVENT = {"namespace": "test", "name": "hits", **ADD}
# Calls that an API answers in the same way each time: method, path, body, headers.
SAME: dict[str, tuple[str, str, Any, dict[str, str]]] = {
    "add": ("POST", f"{HITS}/add", ADD, {}),
    "add and get": ("POST", f"{HITS}/add?get=eventual", ADD, {}),
    "add by name": ("POST", "namespaces/test/add", {"name": "hits", **ADD}, {}),
    "add with a key": (
        "POST",
        f"{HITS}/add",
        {"delta": 1},
        {"Idempotency-Key": '"again"'},
    ),
    "add with two tokens": (
        "POST",
        f"{HITS}/add",
        ADD,
        {"Idempotency-Key": "another"},
    ),
    "read": ("GET", HITS, None, {}),
    "read as pages do": ("GET", HITS, None, {"Accept": "text/html, */*;q=0.8"}),
    "read with indents": ("GET", HITS, None, {"Accept": f"{JSON}; indent=2"}),
    "read as XML": ("GET", HITS, None, {"Accept": "text/xml"}),
    "read many": ("POST", "namespaces/test/read", {"names": ["hits", "é\u2028"]}, {}),
    "read two": ("POST", "namespaces/test/read", {"names": ["hits", "ünknown"]}, {}),
    "batch": ("POST", "events", {"events": [EVENT, EVENT]}, {}),
    "wrong event": ("POST", "events", {"events": [EVENT, {"delta": 1}]}, {}),
    "batch with a key": (
        "POST",
        "events",
        {"events": [EVENT]},
        {"Idempotency-Key": "again"},
    ),
    "list": ("GET", "namespaces/test/counters?limit=1", None, {}),
    "namespace": ("GET", "namespaces/test", None, {}),
    "namespace that is taken": ("POST", "namespaces", {"name": "test"}, {}),
    "unknown counter": ("GET", counter("missing"), None, {}),
    "unknown namespace": ("GET", counter("hits", "missing"), None, {}),
    "unknown parameter": ("GET", f"{HITS}?x=1", None, {}),
    "parameter given twice": ("GET", f"{HITS}?accuracy=a&accuracy=b", None, {}),
    "wrong accuracy": ("GET", f"{HITS}?accuracy=exact", None, {}),
    "format": ("GET", f"{HITS}?format=xml", None, {}),
    "unknown field": ("POST", f"{HITS}/add", {**ADD, "tokn": "x"}, {}),
    "no delta": ("POST", f"{HITS}/add", {}, {}),
    "no object": ("POST", f"{HITS}/add", [1], {}),
    "no JSON": ("POST", f"{HITS}/add", b"{", {}),
    "a byte order mark": ("POST", f"{HITS}/add", b"\xef\xbb\xbf{}", {}),
    "no UTF-8": ("POST", f"{HITS}/add", b'"\xff"', {}),
    "no body": ("POST", f"{HITS}/add", b"", {}),
    "large body": ("POST", f"{HITS}/add", b" " * 65_537, {}),
    "conflict": ("POST", f"{HITS}/add", {**ADD, "delta": 2}, {}),
    "charset": ("POST", f"{HITS}/add", ADD, {"Content-Type": f"{JSON};charset=utf-16"}),
    "form": ("POST", f"{HITS}/add", b"delta=1", {"Content-Type": "text/plain"}),
    "compressed": ("POST", f"{HITS}/add", ADD, {"Content-Encoding": "gzip"}),
    "method": ("POST", HITS, {}, {}),
    "another method": ("PUT", f"{HITS}/add", ADD, {}),
    "options": ("OPTIONS", f"{HITS}/add", None, {}),
    "head": ("HEAD", HITS, None, {}),
}


def sent(api: Api, name: str) -> tuple[int, dict[str, str], bytes]:
    method, path, body, headers = SAME[name]
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {**headers}
    content_type = headers.pop("Content-Type", JSON)
    answered = api.send(
        method,
        path,
        data=b"" if body is None else data,
        content_type=content_type,
        headers=headers,
    )
    return answered.status_code, dict(answered.headers), answered.content


@pytest.fixture
def known(api: Api) -> Iterator[Api]:
    """An API client whose token the process remembers, and a counter with an event."""
    with time_machine.travel("2026-01-31T12:00:00Z", tick=False):
        answer(api.add("hits", ADD))
        yield api


@pytest.mark.parametrize("name", SAME)
def test_call__is_answered_as_drf_would(
    known: Api, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = sent(known, name)

    monkeypatch.setattr("counters.rest.base_view.ordinary_call", lambda *_, **__: None)
    assert found == sent(known, name)
    assert Event.objects.count() == 1


@pytest.mark.parametrize("name", ["add", "add by name", "read", "read two", "batch"])
@pytest.mark.parametrize("scheme", ["Token", "bearer"])
def test_call__with_a_known_token_needs_no_drf_request(
    known: Api, name: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = known.headers["Authorization"].split()[1]
    known.headers = {"Authorization": f"{scheme} {token}"}
    assert sent(known, name)[0] == 200

    monkeypatch.delattr(APIView, "initialize_request")

    assert sent(known, name)[0] == 200


def test_call__that_fails_is_logged_and_answered_with_500(
    known: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("rollups.rest.views.counts.get", fail)
    monkeypatch.delattr(APIView, "initialize_request")

    problem(known.read("hits"), 500, "internal-error")
    assert "Internal Server Error" in caplog.text
