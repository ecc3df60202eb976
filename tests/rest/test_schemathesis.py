"""What the API is described to do, it does: schemathesis asks it all sorts of things.

A longer run: `make fuzz`, or this file with SCHEMATHESIS_EXAMPLES=1000.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import Permission, User
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, settings
from knox.models import AuthToken
from schemathesis import Case
from schemathesis.specs.openapi import checks

from counters import events
from counters.models import CounterType, Grant, Namespace
from counters_project.wsgi import application

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "25"))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]
NAMESPACES = ["test", "cache", "readable", "hidden"]
COUNTERS = ["hits", "page/home", "50%", "naïve ☃"]


@pytest.fixture
def _one_connection() -> Iterator[None]:
    """Keep the connection, and the test's transaction, as Django's test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def token(namespace: Namespace, triggers: list[list[int]]) -> str:
    user = User.objects.create_user("machine")
    user.user_permissions.add(Permission.objects.get(codename="add_namespace"))
    Namespace.objects.create(name="hidden")
    readable = Namespace.objects.create(name="readable")
    Grant.objects.create(namespace=readable, user=user, can_read=True)
    cache = Namespace.objects.create(name="cache", counter_type=CounterType.BEST_EFFORT)
    for mine in (namespace, cache):
        Grant.objects.create(
            namespace=mine, user=user, can_read=True, can_write=True, can_manage=True
        )
    for name in COUNTERS:
        for found in (namespace, readable, cache):
            events.add(namespace=found.name, name=name)
    return str(AuthToken.objects.create(user)[1])


def described() -> Any:
    """Return the published schema, with names in it of which something is there.

    The generated ones would hardly ever be answered by anything but 404.
    """
    # It needs no database; at this point there is none yet.
    published = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    for path in published["paths"].values():
        for call in path.values():
            for parameter in call.get("parameters", []):
                if parameter["name"] == "namespace":
                    parameter["schema"] = {"enum": NAMESPACES}
                if parameter["name"] == "name":
                    there = {"enum": COUNTERS}
                    parameter["schema"] = {"anyOf": [there, parameter["schema"]]}
    event = published["components"]["schemas"]["BatchEvent"]["properties"]
    event["namespace"] = {"type": "string", "enum": NAMESPACES}
    schema = schemathesis.openapi.from_dict(published)
    schema.app = application
    # 413: a batch of too many events.
    rejections = ["400", "401", "403", "404", "405", "409", "413", "415", "422"]
    schema.config.checks.negative_data_rejection.expected_statuses = rejections
    schema.config.generation.update(
        with_security_parameters=False, allow_extra_parameters=False
    )
    return schema


schema = described()


def strangers(user: User) -> list[dict[str, str]]:
    """Return the headers of everybody who is nobody; the user is one with a token."""
    expired = AuthToken.objects.create(user, expiry=timedelta(seconds=-1))[1]
    revoked, revoked_token = AuthToken.objects.create(user)
    revoked.delete()
    good = AuthToken.objects.create(user)[1]
    return [
        {},
        {"Authorization": f"Token {expired}"},
        {"Authorization": f"Token {revoked_token}"},
        {"Authorization": f"Token {'0' * 64}"},
        {"Authorization": f"Token {good}0"},
        {"Authorization": "Token"},
        {"Authorization": f"Basic {good}"},
        {"Authorization": f"Bearer {good}0"},
        {"X-Authorization": f"Token {good}"},
    ]


@pytest.mark.usefixtures("_one_connection", "token")
@schema.include(path_regex="^/api/").parametrize()  # type: ignore[untyped-decorator]
@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_call__lets_no_stranger_in(case: Case[Any]) -> None:
    with transaction.atomic():
        powerless = User.objects.create_user("powerless")
        for headers in strangers(powerless):
            refused = case.call(headers=headers)

            assert refused.status_code == 401, (headers, refused.text)

        token = AuthToken.objects.create(powerless)[1]
        answered = case.call(headers={"Authorization": f"Token {token}"})
        transaction.set_rollback(True)

    # Nothing is there for who has no right: no namespace, and no event to add.
    if answered.status_code == 200:
        assert answered.json()["results"] == []
    else:
        assert answered.status_code in {400, 403, 404, 413}, answered.text
        assert (answered.status_code == 403) == (
            (case.method, case.path) == ("POST", "/api/v1/namespaces")
        )


@pytest.mark.usefixtures("_one_connection")
@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="SCHEMATHESIS_EXAMPLES" not in os.environ,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_call__answers_as_it_is_described(case: Case[Any], token: str) -> None:
    headers = {"Authorization": f"Token {token}"}
    with transaction.atomic():
        response = case.call(headers=headers)
        # Each call finds the same, and a refused batch has spoilt its transaction.
        transaction.set_rollback(True)

    case.validate_response(response, checks=CHECKS, headers=headers)
    if response.status_code >= 400 and case.path.startswith("/api/"):
        assert response.headers["content-type"] == ["application/problem+json"]
        assert response.json()["status"] == response.status_code
