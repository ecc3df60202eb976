from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import Client
from rest_framework.test import APIClient

from counters.rest.problems import STATUS_OF


def description() -> Any:
    return Client().get("/api/schema", headers={"Host": "localhost"}).json()


def test_schema__is_json_or_yaml_for_everyone() -> None:
    as_json = Client().get("/api/schema")
    as_yaml = Client().get("/api/schema?format=yaml")

    assert as_json.headers["Content-Type"] == "application/json"
    assert as_json.json()["openapi"].startswith("3.")
    assert as_yaml.content.startswith(b"openapi: 3.")


def test_schema__describes_every_call_once() -> None:
    calls = {
        (method.upper(), path): call["operationId"]
        for path, methods in description()["paths"].items()
        for method, call in methods.items()
    }

    namespace = "/api/v1/namespaces/{namespace}"
    counter = f"{namespace}/counters/{{name}}"
    assert calls == {
        ("POST", "/api/v1/events"): "add_batch",
        ("GET", "/api/v1/namespaces"): "list_namespaces",
        ("POST", "/api/v1/namespaces"): "create_namespace",
        ("GET", "/api/v1/namespaces/{namespace}"): "read_namespace",
        ("PATCH", "/api/v1/namespaces/{namespace}"): "change_namespace",
        ("DELETE", "/api/v1/namespaces/{namespace}"): "delete_namespace",
        ("GET", "/api/v1/namespaces/{namespace}/counters"): "list_counters",
        ("GET", counter): "read",
        ("DELETE", counter): "delete_counter",
        ("POST", f"{counter}/add"): "add",
        ("POST", f"{counter}/clear"): "clear",
        ("GET", f"{counter}/series"): "series",
        ("POST", f"{namespace}/add"): "add_by_name",
        ("POST", f"{namespace}/read"): "read_many",
        ("POST", f"{namespace}/clear"): "clear_by_name",
        ("POST", f"{namespace}/delete"): "delete_counter_by_name",
        ("DELETE", f"{namespace}/counters"): "delete_counter_by_query",
        ("GET", f"{namespace}/series"): "series_by_name",
        ("GET", f"{namespace}/total"): "total_by_name",
        ("GET", "/healthz"): "healthz",
        ("GET", "/readyz"): "readyz",
    }


def test_schema__describes_the_parameters_of_each_path() -> None:
    for path, methods in description()["paths"].items():
        for method, call in methods.items():
            described = {
                one["name"] for one in call.get("parameters", []) if one["in"] == "path"
            }
            assert described == set(re.findall(r"\{(\w+)\}", path)), (method, path)


def test_schema__has_an_example_of_every_error() -> None:
    codes = {
        example["value"]["code"]
        for methods in description()["paths"].values()
        for call in methods.values()
        for answer in call["responses"].values()
        for example in answer.get("content", {})
        .get("application/problem+json", {})
        .get("examples", {})
        .values()
    }

    assert {error.code for error in STATUS_OF} <= codes


def test_error_table__has_every_code() -> None:
    table = (settings.BASE_DIR / "docs" / "api.md").read_text()

    assert [error.code for error in STATUS_OF if f"`{error.code}`" not in table] == []


def test_docs__come_from_this_server_alone() -> None:
    page = Client().get("/api/docs").content.decode()

    assert "//" not in page.replace("// ", "")
    for line in page.splitlines():
        if 'src="' in line:
            script = line.split('src="')[1].split('"')[0]
            if script != "/api/docs?script=":
                assert finders.find(script.removeprefix("/static/"))


@pytest.mark.django_db
def test_session__writes_with_a_csrf_token_only(admin_user: Any) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(admin_user)
    refused = client.post("/api/v1/namespaces", {"name": "x"}, format="json")
    # The page's script, which sends it along.
    client.get("/api/docs?script=")
    csrf = client.cookies["csrftoken"].value
    taken = client.post(
        "/api/v1/namespaces", {"name": "x"}, format="json", HTTP_X_CSRFTOKEN=csrf
    )

    assert (refused.status_code, refused.json()["code"]) == (403, "permission-denied")
    assert taken.status_code == 201


def test_foreign_host__is_a_problem_too() -> None:
    answer = Client().get("/api/schema", headers={"Host": "elsewhere.example"})

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
