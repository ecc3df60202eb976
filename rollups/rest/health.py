"""`/healthz` and `/readyz`, for load balancers and supervisors; open to everyone."""

from __future__ import annotations

from http import HTTPStatus

from django.db import Error as DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from psycopg_pool import PoolTimeout

from counters.db import errors, timeouts
from rollups.monitor.status import measure_lag

# Who asks has a time-out of its own, of ten seconds most often.
_ANSWER_WITHIN_SECONDS = 3


@csrf_exempt
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"status": "ok"})


@csrf_exempt
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """The database answers and is migrated; how far folding lags behind."""
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
