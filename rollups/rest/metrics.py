"""`/metrics`, for Prometheus; as open as the health checks: it names no counter."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from rollups.monitor.prometheus import expose
from rollups.trigger import publisher


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The numbers of all processes on this machine, and of the database."""
    publisher.get().count_up()
    return HttpResponse(expose(), content_type=CONTENT_TYPE_LATEST)
