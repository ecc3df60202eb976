"""The settings of a service that strangers can reach, and what it refuses to start with."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = secrets.token_urlsafe(50)
REAL = "postgresql://counters:hunter2@db.example.com/counters"
PRODUCTION = {
    "COUNTERS_ROLE": "web",
    "DATABASE_URL": REAL,
    "SECRET_KEY": KEY,
    "ALLOWED_HOSTS": "counters.example.com",
    "HTTPS": "true",
    "CACHE_URL": "redis://127.0.0.1:6379/1",
}
OF_OTHERS = ("SECRET_KEY", "ALLOWED_HOSTS", "DEBUG", "CELERY_BROKER_URL", "CACHE_URL")


def run(
    directory: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run Python on the project's settings with these variables."""
    kept = {name: text for name, text in os.environ.items() if name not in OF_OTHERS}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=kept | {"DATA_DIR": str(directory / "data")} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def load_server(directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(directory, "-c", "import counters_project.wsgi", **variables)


def test_check__finds_nothing_in_the_production_settings(tmp_path: Path) -> None:
    checked = run(
        tmp_path,
        *("manage.py", "check", "--deploy", "--fail-level", "WARNING"),
        **PRODUCTION,
    )

    assert checked.returncode == 0, checked.stderr
    assert "no issues (2 silenced)" in checked.stdout


def test_check__warns_of_plain_http(tmp_path: Path) -> None:
    checked = run(
        tmp_path,
        *("manage.py", "check", "--deploy", "--fail-level", "WARNING"),
        **PRODUCTION | {"HTTPS": "false"},
    )

    assert checked.returncode == 1
    assert "security.W010" in checked.stderr


def test_server__loads_with_the_production_settings(tmp_path: Path) -> None:
    started = load_server(tmp_path, **PRODUCTION)

    assert started.returncode == 0, started.stderr


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is not set"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY can be guessed"),
        ({"SECRET_KEY": "ab" * 40}, "SECRET_KEY can be guessed"),
        ({"SECRET_KEY": f"django-insecure-{KEY}"}, "SECRET_KEY can be guessed"),
        ({"SECRET_KEY_FALLBACKS": "older"}, "SECRET_KEY_FALLBACKS can be guessed"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS=* accepts any host name"),
    ],
)
# Also where nobody said that this is a web server: what loads wsgi.py is one.
@pytest.mark.parametrize("role", ["web", ""])
def test_server__refuses_what_can_be_guessed(
    tmp_path: Path, changed: dict[str, str], said: str, role: str
) -> None:
    started = load_server(tmp_path, **PRODUCTION | {"COUNTERS_ROLE": role} | changed)

    assert started.returncode != 0
    last = started.stderr.strip().splitlines()[-1]
    assert said in last
    for value in changed.values():
        assert value in {"", "*"} or value not in started.stderr


def test_server__may_use_anything_while_debugging(tmp_path: Path) -> None:
    weak = {"SECRET_KEY": "", "ALLOWED_HOSTS": "*", "DEBUG": "1"}

    started = load_server(tmp_path, **PRODUCTION | weak)

    assert started.returncode == 0, started.stderr


def test_command__needs_no_key_of_the_web_servers(tmp_path: Path) -> None:
    checked = run(
        tmp_path, "manage.py", "check", DATABASE_URL=REAL, COUNTERS_ROLE="command"
    )

    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("name", ["DATABASE_URL", "CELERY_BROKER_URL", "CACHE_URL"])
@pytest.mark.parametrize(
    "url",
    ["postgresql://u:hunter#2@h/d", "redis://:hunter/2@h:1/0", "redis://[hunter2"],
)
def test_url__that_is_none_is_not_quoted(tmp_path: Path, name: str, url: str) -> None:
    checked = run(tmp_path, "manage.py", "check", **{name: url})

    assert checked.returncode != 0
    assert f"{name} is not a URL" in checked.stderr
    assert "hunter" not in checked.stderr


@pytest.mark.django_db
def test_cookies__are_for_this_site_and_not_for_scripts() -> None:
    response = Client().get("/admin/login/")

    cookie = response.cookies["csrftoken"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_cookies__stay_on_https_in_production(tmp_path: Path) -> None:
    program = (
        "import counters_project.wsgi\n"
        "from django.conf import settings as s\n"
        "assert s.SESSION_COOKIE_SECURE and s.SESSION_COOKIE_HTTPONLY\n"
        "assert s.CSRF_COOKIE_SECURE and s.CSRF_COOKIE_HTTPONLY\n"
        "assert s.SESSION_COOKIE_SAMESITE == s.CSRF_COOKIE_SAMESITE == 'Lax'\n"
    )

    checked = run(tmp_path, "-c", program, **PRODUCTION)

    assert checked.returncode == 0, checked.stderr


def test_https__is_demanded_but_for_those_who_look_after_the_service(
    tmp_path: Path,
) -> None:
    program = (
        "import counters_project.wsgi\n"
        "from django.test import Client\n"
        "host = {'HTTP_HOST': 'counters.example.com'}\n"
        "plain = Client().get('/api/v1/namespaces', **host)\n"
        "assert plain.status_code == 301, plain\n"
        "assert plain['Location'].startswith('https://counters.example.com/')\n"
        "assert Client().get('/healthz', **host).status_code == 200\n"
        "safe = Client().get('/healthz', secure=True, **host)\n"
        "assert 'max-age=31536000' in safe['Strict-Transport-Security']\n"
    )

    checked = run(tmp_path, "-c", program, **PRODUCTION)

    assert checked.returncode == 0, checked.stderr


def test_server__keeps_what_is_loaded_out_of_the_collectors_way(tmp_path: Path) -> None:
    """A full collection that looks through Django and the apps stops a process for 0.1 s."""
    looked = run(
        tmp_path,
        "-c",
        "import counters_project.wsgi, gc, sys;"
        "print(gc.get_freeze_count(), 'rollups.rest.views' in sys.modules)",
        **PRODUCTION,
    )

    kept, has_views = looked.stdout.split()
    assert int(kept) > 50_000, looked.stderr
    assert has_views == "True"


HSTS = "from django.conf import settings as s; print(s.SECURE_HSTS_SECONDS > 0,"
HSTS += " s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.SECURE_HSTS_PRELOAD)"


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ({}, "True False False"),
        ({"HSTS_SUBDOMAINS": "true"}, "True True False"),
        ({"HSTS_SUBDOMAINS": "true", "HSTS_PRELOAD": "true"}, "True True True"),
        ({"HSTS_SUBDOMAINS": "true", "HTTPS": "false"}, "False False False"),
    ],
)
def test_hsts__binds_other_names_only_where_it_is_asked_for(
    tmp_path: Path, asked: dict[str, str], answered: str
) -> None:
    variables = {
        **PRODUCTION,
        "DJANGO_SETTINGS_MODULE": "counters_project.settings",
        **asked,
    }

    assert run(tmp_path, "-c", HSTS, **variables).stdout.strip() == answered


def test_hsts__is_not_preloaded_without_subdomains(tmp_path: Path) -> None:
    refused = load_server(tmp_path, **PRODUCTION, HSTS_PRELOAD="true")

    assert "HSTS_SUBDOMAINS" in refused.stderr.splitlines()[-1]
