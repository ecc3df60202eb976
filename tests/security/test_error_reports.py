"""Error reports: what Django would mail, or show a developer."""

from __future__ import annotations

import secrets
import sys

import pytest
from django.test import RequestFactory
from django.views.debug import ExceptionReporter
from pytest_django import Settings

# Made anew: a report shows lines of this file.
TOKEN, PASSWORD = secrets.token_hex(32), secrets.token_hex(8)
URL = f"postgresql://counters:{PASSWORD}@db/counters"
BROKER_URL = f"redis://:{PASSWORD}@db:1/0"


@pytest.mark.parametrize("debug", [True, False])
def test_report__holds_no_token_and_no_password(
    settings: Settings, debug: bool
) -> None:
    settings.DEBUG = debug
    settings.DATABASE_URL = URL
    settings.CELERY_BROKER_URL = settings.CACHE_URL = BROKER_URL
    settings.CACHES = {"default": {"LOCATION": BROKER_URL}}
    settings.RUNNING = {"token": TOKEN, "database_url": URL}
    request = RequestFactory().get(
        "/api/v1/namespaces",
        headers={"Authorization": f"Token {TOKEN}", "Cookie": f"sessionid={TOKEN}"},
    )
    try:
        fail(TOKEN)
    except ZeroDivisionError:
        reporter = ExceptionReporter(request, *sys.exc_info())

    for report in (reporter.get_traceback_html(), reporter.get_traceback_text()):
        assert "ZeroDivisionError" in report
        assert TOKEN not in report
        assert PASSWORD not in report


def fail(token: str) -> float:
    authorization = token + "!"
    database_url = URL
    return len(authorization + database_url) / 0
