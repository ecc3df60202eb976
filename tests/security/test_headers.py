from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from counters.models import Namespace

pytestmark = pytest.mark.django_db

STATIC = "/static/admin/css/base.css"
PATHS = ["/healthz", "/metrics", "/api/v1/namespaces", "/api/schema", "/api/docs"]
PAGES = ["", "counters/namespace/", "counters/counter/", "counters/namespace/add/"]
OWN_SCRIPT = re.compile(
    rb"<script(?![^>]*\b(src|type=\"application/json\"))", re.IGNORECASE
)


@pytest.mark.parametrize("path", [*PATHS, "/admin/login/", "/nothing", STATIC])
def test_answer__tells_browsers_to_be_careful(path: str) -> None:
    answer = Client().get(path)
    answer.close()
    headers = answer.headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    policy = headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert re.search(r"default-src '(none|self)'", policy)
    if path != STATIC:
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_answer__to_a_program_may_load_nothing() -> None:
    policy = Client().get("/api/v1/namespaces").headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize(
    "path", ["/api/docs", "/ops", *(f"/admin/{page}" for page in PAGES)]
)
def test_page__runs_only_scripts_of_this_server(
    path: str, namespace: Namespace
) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))

    page = client.get(path)

    assert page.status_code == 200
    policy = page.headers["Content-Security-Policy"]
    # So that scripts have no rule but the default one.
    assert policy.startswith("default-src 'self';")
    assert "script" not in policy
    assert not OWN_SCRIPT.search(page.content)
    assert not re.search(rb"<[^>]* on[a-z]+=|javascript:", page.content)
    assert not re.search(rb"(src|href)=\"(https?:)?//", page.content)


def test_docs__have_their_script_apart() -> None:
    page = Client().get("/api/docs").content.decode()
    source = re.findall(r'<script src="([^"]*script=)"', page)

    [url] = source
    script = Client().get(url)
    assert script.headers["Content-Type"].startswith("application/javascript")
    assert "SwaggerUIBundle({" in script.content.decode()
