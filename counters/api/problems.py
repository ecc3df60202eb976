"""Errors as `application/problem+json` (RFC 9457): one shape, made in one place."""

from __future__ import annotations

import logging
import math
import sys
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from counters import outages
from counters.api.parsers import BodyTooLarge
from counters.api.shapes import exact_number
from counters.errors import (
    AccessDenied,
    AlreadyExists,
    BatchRefused,
    BatchTooLarge,
    CounterNotFound,
    CountersError,
    DeletionUnfinished,
    InvalidValue,
    MissingValue,
    NamespaceNotFound,
    NoSharedCache,
    NotAnchored,
    NotConfirmed,
    NotForBestEffort,
    OutsideAcceptWindow,
    TokenConflict,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "1"
HOW_TO_AUTHENTICATE = (
    "This needs an API token: send the header `Authorization: Token …` or `Authorization:"
    " Bearer …`."
)

STATUS_OF: dict[type[CountersError], HTTPStatus] = {
    InvalidValue: HTTPStatus.BAD_REQUEST,
    MissingValue: HTTPStatus.BAD_REQUEST,
    NamespaceNotFound: HTTPStatus.NOT_FOUND,
    CounterNotFound: HTTPStatus.NOT_FOUND,
    AccessDenied: HTTPStatus.FORBIDDEN,
    AlreadyExists: HTTPStatus.CONFLICT,
    DeletionUnfinished: HTTPStatus.SERVICE_UNAVAILABLE,
    BatchTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    NoSharedCache: HTTPStatus.SERVICE_UNAVAILABLE,
    NotAnchored: HTTPStatus.SERVICE_UNAVAILABLE,
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
    if outages.is_outage(error):
        _note_outage(error)
    body = problem_of(error)
    if body is None:
        return None
    headers: dict[str, str] = {}
    if body["status"] == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY_AFTER_SECONDS
    if encoding := getattr(error, "accept_encoding", None):
        headers["Accept-Encoding"] = encoding
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if (wait := getattr(error, "wait", None)) is not None:
        # Never 0, and never a moment too early.
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    return Response(body, body["status"], headers=headers, content_type=MEDIA_TYPE)


def problem_of(error: Exception) -> dict[str, Any] | None:
    """Return the body that an error is answered with, None for one nobody foresaw."""
    if isinstance(error, CountersError):
        cause = error.cause if isinstance(error, BatchRefused) else error
        return problem(STATUS_OF[type(cause)], cause.code, error.message, **error.extra)
    if isinstance(error, Http404):
        return problem(HTTPStatus.NOT_FOUND, "not-found", "There is nothing here.")
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, RequestDataTooBig):
        if not isinstance(error, BodyTooLarge):
            # Django's own text names a setting, not the limit.
            error = BodyTooLarge(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", str(error))
    if outages.is_outage(error):
        return DATABASE_UNAVAILABLE
    if isinstance(error, exceptions.NotAuthenticated):
        # DRF's own text does not say how.
        return problem(
            HTTPStatus(error.status_code), "not-authenticated", HOW_TO_AUTHENTICATE
        )
    if isinstance(error, exceptions.APIException):
        code = str(getattr(error.detail, "code", error.default_code)).replace("_", "-")
        return problem(HTTPStatus(error.status_code), code, str(error.detail))
    return None


def _note_outage(error: BaseException) -> None:
    # Not acknowledged: a client with a token may send the same add again.
    logger.error("The database did not serve a request: %s", outages.describe(error))
    outages.drop_broken_connections(error)


def problem(status: HTTPStatus, code: str, detail: str, **extra: Any) -> dict[str, Any]:
    """Return a problem's body: type, title, status, detail, and facts as data."""
    return {
        "type": f"urn:counters:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "code": code,
        "detail": detail,
        **{
            fact: exact_number(value) if isinstance(value, int) else value
            for fact, value in extra.items()
        },
    }


DATABASE_UNAVAILABLE = problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "database-unavailable",
    "The database cannot serve this now. Nothing was acknowledged; send the same token"
    " again.",
)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a path that no view serves."""
    return JsonResponse(
        problem(
            HTTPStatus.NOT_FOUND, "not-found", f"There is nothing at {request.path!r}."
        ),
        status=HTTPStatus.NOT_FOUND,
        content_type=MEDIA_TYPE,
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django itself refuses, such as a host that is not ours."""
    return JsonResponse(
        problem(
            HTTPStatus.BAD_REQUEST,
            "bad-request",
            f"The server does not take this request ({type(exception).__name__}).",
        ),
        status=HTTPStatus.BAD_REQUEST,
        content_type=MEDIA_TYPE,
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what a page outside the API, or a middleware, met: Django has logged it."""
    error = sys.exception()
    if error is not None and outages.is_outage(error):
        _note_outage(error)
        return JsonResponse(
            DATABASE_UNAVAILABLE,
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            headers={"Retry-After": RETRY_AFTER_SECONDS},
            content_type=MEDIA_TYPE,
        )
    return JsonResponse(
        problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal-error",
            "Something went wrong on the server; it was logged.",
        ),
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        content_type=MEDIA_TYPE,
    )
