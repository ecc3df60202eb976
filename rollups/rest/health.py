"""Answer `/healthz`, `/readyz` and `/metrics`. They need no token and name no counter."""

from __future__ import annotations

from http import HTTPStatus

from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST
from psycopg_pool import PoolTimeout

from counters.db import errors, timeouts
from rollups.monitor.prometheus import expose
from rollups.monitor.status import measure_lag
from rollups.trigger import publisher

# Probes usually have a time-out of ten seconds.
_ANSWER_WITHIN_SECONDS = 3


@csrf_exempt
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200: this process runs."""
    return JsonResponse({"status": "ok"})


@csrf_exempt
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 with the lag of folding if the database answers and is migrated."""
    try:
        with timeouts.at_most(_ANSWER_WITHIN_SECONDS):
            lag = measure_lag()
    except (DatabaseError, PoolTimeout) as error:
        errors.drop_broken_connections(error)
        return JsonResponse(
            {"status": "unavailable", "detail": type(error).__name__},
            status=HTTPStatus.SERVICE_UNAVAILABLE,
        )
    return JsonResponse(
        {
            "status": "ok",
            "pending": lag.pending,
            "lag_seconds": round(lag.oldest.total_seconds(), 3),
        }
    )


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics of all processes on this machine, and of the database."""
    publisher.get().count_up()
    return HttpResponse(expose(), content_type=CONTENT_TYPE_LATEST)


urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
]
