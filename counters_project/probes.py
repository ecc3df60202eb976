"""Answer probes and scrapes for any host name."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from rollups.rest.health import healthz, metrics, readyz

_VIEWS = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}


class Probes:
    """Middleware that answers before any other looks at the Host header.

    Orchestrators and Prometheus call by address, and no ALLOWED_HOSTS can list all addresses.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return _VIEWS.get(request.path_info, self.get_response)(request)
