"""Middleware: answers to probes, and headers that restrict browsers."""

from __future__ import annotations

from collections.abc import Callable

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
