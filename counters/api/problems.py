"""Errors as `application/problem+json` (RFC 9457): one shape, made in one place."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from psycopg_pool import PoolTimeout
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from counters.errors import (
    AccessDenied,
    AlreadyExists,
    BatchRefused,
    BatchTooLarge,
    CounterNotFound,
    CountersError,
    InvalidValue,
    MissingValue,
    NamespaceNotFound,
    NoSharedCache,
    NotConfirmed,
    NotForBestEffort,
    OutsideAcceptWindow,
    TokenConflict,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "1"

STATUS_OF: dict[type[CountersError], HTTPStatus] = {
    InvalidValue: HTTPStatus.BAD_REQUEST,
    MissingValue: HTTPStatus.BAD_REQUEST,
    NamespaceNotFound: HTTPStatus.NOT_FOUND,
    CounterNotFound: HTTPStatus.NOT_FOUND,
    AccessDenied: HTTPStatus.FORBIDDEN,
    AlreadyExists: HTTPStatus.CONFLICT,
    BatchTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    NoSharedCache: HTTPStatus.SERVICE_UNAVAILABLE,
    NotConfirmed: HTTPStatus.BAD_REQUEST,
    NotForBestEffort: HTTPStatus.BAD_REQUEST,
    OutsideAcceptWindow: HTTPStatus.UNPROCESSABLE_ENTITY,
    TokenConflict: HTTPStatus.CONFLICT,
}


def answer_problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an error that a view raised into its answer; DRF's exception handler.

    None for errors that nobody foresaw: Django reports those and answers 500.
    """
    set_rollback()
    if isinstance(error, CountersError):
        cause = error.cause if isinstance(error, BatchRefused) else error
        return _answer(STATUS_OF[type(cause)], cause.code, error.message, **error.extra)
    if isinstance(error, Http404):
        return _answer(HTTPStatus.NOT_FOUND, "not-found", "There is nothing here.")
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, RequestDataTooBig):
        return _answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", str(error))
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeout)):
        return _database_unavailable(error)
    if isinstance(error, exceptions.APIException):
        return _answer_api_exception(error)
    return None


def _database_unavailable(error: Exception) -> Response:
    # Not acknowledged: a client with a token may send the same add again.
    logger.error("The database did not answer: %s", error)
    _drop_broken_connections()
    answer = _answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "database-unavailable",
        "The database did not answer in time. Nothing was acknowledged; send the same"
        " token again.",
    )
    answer["Retry-After"] = RETRY_AFTER_SECONDS
    return answer


def _drop_broken_connections() -> None:
    """Let one request, not one for each pooled connection, pay for a database restart."""
    pool = getattr(connection, "pool", None)
    if pool is not None:
        pool.check()


def _answer_api_exception(error: exceptions.APIException) -> Response:
    status = HTTPStatus(error.status_code)
    code = str(getattr(error.detail, "code", error.default_code)).replace("_", "-")
    answer = _answer(status, code, str(error.detail))
    if header := getattr(error, "auth_header", None):
        answer["WWW-Authenticate"] = header
    if (wait := getattr(error, "wait", None)) is not None:
        answer["Retry-After"] = str(round(wait))
    return answer


def _answer(status: HTTPStatus, code: str, detail: str, **extra: Any) -> Response:
    return Response(
        problem(status, code, detail, **extra), status=status, content_type=MEDIA_TYPE
    )


def problem(status: HTTPStatus, code: str, detail: str, **extra: Any) -> dict[str, Any]:
    """Return a problem's body: type, title, status, detail, and facts as data."""
    return {
        "type": f"urn:counters:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "code": code,
        "detail": detail,
        **extra,
    }


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a path that no view serves."""
    return JsonResponse(
        problem(
            HTTPStatus.NOT_FOUND, "not-found", f"There is nothing at {request.path!r}."
        ),
        status=HTTPStatus.NOT_FOUND,
        content_type=MEDIA_TYPE,
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an error that nobody foresaw; Django has logged it."""
    return JsonResponse(
        problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal-error",
            "Something went wrong on the server; it was logged.",
        ),
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        content_type=MEDIA_TYPE,
    )
