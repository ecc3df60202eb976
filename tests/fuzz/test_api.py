"""No request whatever is answered with a 500, or by anything but JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from counters import events as record
from counters.models import Namespace
from tests.fuzz.examples import almost, any_text, fuzzed, json_values
from tests.rest.conftest import Api, api, api_of  # noqa: F401 - fixtures

NAMES = st.sampled_from(["hits", "page/home", "50%"]) | any_text
VALUES = any_text | almost
PATHS = st.sampled_from(
    [
        "counters",
        "counters/{name}",
        "counters/{name}/add",
        "counters/{name}/clear",
        "counters/{name}/series",
        "",
    ]
)
FIELDS = st.sampled_from(
    [
        *("delta", "token", "generation_time", "events", "name", "description"),
        *("counter_type", "accept_past_seconds", "retention_seconds", "bucket_size"),
    ]
)
EVENTS = st.fixed_dictionaries(
    {"namespace": st.just("test") | json_values, "name": NAMES | json_values},
    optional={
        "delta": json_values,
        "token": VALUES | json_values,
        "generation_time": VALUES | json_values,
    },
)
BODIES = st.dictionaries(FIELDS, VALUES | json_values | st.lists(EVENTS, max_size=3))
QUERIES = st.dictionaries(
    st.sampled_from(
        [
            *("accuracy", "get", "search", "ordering", "cursor", "limit"),
            *("from", "to", "bucket", "gaps", "confirm"),
        ]
    ),
    VALUES
    | st.sampled_from(["name", "-count", "accurate", "minute", "500", "true", "test"]),
)
# What HTTP lets a header hold.
header = st.text(
    st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=100
)


def encoded(text: str) -> str:
    return quote(text.encode(errors="surrogatepass"), safe="")


def check(response: Any) -> None:
    assert response.status_code < 500 or response.json()["code"] != "internal-error", (
        response.content
    )
    if response.status_code != 204:
        assert response["Content-Type"] in {
            "application/json",
            "application/problem+json",
        }
        json.loads(response.content)
    if response.status_code >= 400:
        assert response["Content-Type"] == "application/problem+json"


@pytest.fixture
def superuser(
    namespace: Namespace,
    triggers: list[list[int]],
    api_of: Callable[[User], Api],  # noqa: F811 - the fixture
) -> Api:
    record.add(namespace="test", name="hits", token="any")
    return api_of(User.objects.create_superuser("boss"))


def ask(client: Api, method: str, path: str, **options: Any) -> Any:
    """Send a request whose effects are undone."""
    with transaction.atomic():
        response = client.send(method, path, **options)
        transaction.set_rollback(True)
    return response


@fuzzed
@given(
    method=st.sampled_from(
        ["GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "HEAD"]
    ),
    path=PATHS,
    name=NAMES,
    query=QUERIES,
    body=BODIES | json_values,
)
def test_call__is_answered(
    superuser: Api, method: str, path: str, name: str, query: Any, body: Any
) -> None:
    target = f"namespaces/test/{path.format(name=encoded(name))}".rstrip("/")
    words = "&".join(f"{key}={encoded(value)}" for key, value in query.items())

    response = ask(
        superuser,
        method,
        f"{target}?{words}",
        data=json.dumps(body),
        content_type="application/json",
    )

    if method != "HEAD":
        check(response)


@fuzzed
@given(st.lists(EVENTS | json_values, max_size=5) | json_values)
def test_batch__is_answered(superuser: Api, events: Any) -> None:
    check(
        ask(
            superuser,
            "POST",
            "events",
            data=json.dumps({"events": events}),
            content_type="application/json",
        )
    )


@fuzzed
@given(st.binary(max_size=300), header)
def test_body__of_any_kind_is_answered(
    superuser: Api, body: bytes, content_type: str
) -> None:
    for kind in ("application/json", content_type):
        check(ask(superuser, "POST", "events", data=body, content_type=kind))


@fuzzed
@given(
    authorization=header
    | st.binary(max_size=80).map(lambda raw: f"Token {raw.decode('latin-1')}")
    | st.from_regex(r"(Token|Basic|Bearer) [0-9a-f]{60,70}", fullmatch=True),
    key=header,
    cookie=header,
    accept=header,
)
def test_headers__of_any_kind_are_answered(
    superuser: Api, authorization: str, key: str, cookie: str, accept: str
) -> None:
    stranger: dict[str, Any] = {
        "HTTP_AUTHORIZATION": authorization,
        "HTTP_IDEMPOTENCY_KEY": key,
        "HTTP_COOKIE": f"sessionid={cookie}; csrftoken={cookie}",
        "HTTP_ACCEPT": accept,
        "HTTP_X_FORWARDED_FOR": cookie,
        "HTTP_X_HTTP_METHOD_OVERRIDE": key,
    }
    path = "namespaces/test/counters/hits/add"
    body: dict[str, Any] = {
        "data": '{"delta": 1}',
        "content_type": "application/json",
    }

    refused = Client(raise_request_exception=False).post(
        f"/api/v1/{path}", **body, **stranger
    )
    answered = ask(superuser, "POST", path, **body, HTTP_IDEMPOTENCY_KEY=key)

    # 401, or 406 where it takes no JSON; never in.
    assert 400 <= refused.status_code < 500
    check(answered)


@fuzzed
@given(st.binary(max_size=60) | st.just(b"api/v1/namespaces/test/counters/%"))
def test_path__of_any_kind_is_answered(superuser: Api, path: bytes) -> None:
    raw = "/" + path.decode("latin-1").replace("\n", "").replace("\r", "")
    client = Client(raise_request_exception=False)

    response = client.get(
        "/", headers=superuser.headers, PATH_INFO=raw, RAW_URI=quote(raw, safe="/%?")
    )

    assert response.status_code < 500
