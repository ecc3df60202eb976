"""Middleware: answers to probes, headers that restrict browsers, and what only pages need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from rollups.rest.health import healthz, metrics, readyz

_VIEWS = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}
# A browser must not run or show an answer that is meant for a program.
DATA = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# The admin and the API's page contain style elements, but no inline scripts.
PAGE = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline';"
    " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# The path of the API's calls, and how the Authorization headers with an API token begin.
_API, _SCHEMES = "/api/v1/", ("token ", "bearer ")


class Probes:
    """Answer probes and scrapes before other middleware checks the Host header.

    Orchestrators and Prometheus use IP addresses, and ALLOWED_HOSTS cannot list them all.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return _VIEWS.get(request.path_info, self.get_response)(request)


class ContentPolicy:
    """Add the content policy to each response whose view has set none."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_page = response.get("Content-Type", "").startswith("text/html")
        response.setdefault("Content-Security-Policy", PAGE if is_page else DATA)
        # The page's script contains the user's CSRF token; no other site may load it.
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response


class ForPages:
    """Mixin: skips a middleware for API calls with a token, which need no session.

    Calls with a session have no such header. They keep their session and its CSRF check.
    """

    get_response: Callable[[HttpRequest], Any]

    def __call__(self, request: HttpRequest) -> Any:
        sent = request.META.get("HTTP_AUTHORIZATION", "")
        if request.path_info.startswith(_API) and sent.lower().startswith(_SCHEMES):
            return self.get_response(request)
        return super().__call__(request)  # type: ignore[misc]


class PageSessions(ForPages, SessionMiddleware):
    """Django's sessions, for pages."""


class PageUsers(ForPages, AuthenticationMiddleware):
    """The user of a session, for pages."""


class PageMessages(ForPages, MessageMiddleware):
    """Django's messages, for pages."""
