"""Answer errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import logging
import math
import sys
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
)
from django.urls import NoReverseMatch, is_valid_path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import escape_leading_slashes
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from counters.db import errors
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
from counters.json_values import exact_number
from counters.rest.parsers import BodyTooLarge

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "1"
# Not a template, because any part may be broken when this page is needed.
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    "<h1>{title}</h1><p>{detail}</p><p>{links}</p></html>"
)
# Links to those of these pages that the project has.
PAGES = {"ops": "Operations", "admin:index": "Admin", "docs": "REST API"}
HOW_TO_AUTHENTICATE = (
    "This call needs an API token. Send the header `Authorization: Token …` or"
    " `Authorization: Bearer …`."
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
    """Convert an error that a view raised to its answer; DRF's exception handler.

    Return None for an unexpected error: Django logs it and answers 500.
    """
    set_rollback()
    if _outage_of(error) is not None:
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
    """Return the body for an error, or None for an unexpected error."""
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
    if (outage := _outage_of(error)) is not None:
        return outage
    if isinstance(error, exceptions.NotAuthenticated):
        # DRF's own text does not say how to authenticate.
        return problem(
            HTTPStatus(error.status_code), "not-authenticated", HOW_TO_AUTHENTICATE
        )
    if isinstance(error, exceptions.APIException):
        code = str(getattr(error.detail, "code", error.default_code)).replace("_", "-")
        return problem(HTTPStatus(error.status_code), code, str(error.detail))
    return None


def _outage_of(error: BaseException) -> dict[str, Any] | None:
    if errors.is_outage(error):
        return DATABASE_UNAVAILABLE
    return NOT_MIGRATED if errors.lacks_migrations(error) else None


def _note_outage(error: BaseException) -> None:
    # Not acknowledged: a client with a token may send the same add again.
    logger.error("A request was not served. %s", errors.explain(error))
    errors.drop_broken_connections(error)


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
    "The database cannot serve this request now. Nothing was acknowledged. Send it again with"
    " the same token.",
)
NOT_MIGRATED = problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "not-migrated",
    "The service's database lacks migrations. Its operator has to run `manage.py migrate`."
    " Nothing was acknowledged. Send it again with the same token.",
)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a path that no view serves; redirect a browser if only a slash is wrong."""
    path = request.path_info
    other = path.rstrip("/") if path.endswith("/") else f"{path}/"
    # If a view answered 404, as the admin's do, another slash does not help.
    if not other or is_valid_path(path) or not is_valid_path(other):
        other = ""
    return _not_found(request, other)


# Clients with an API token have no CSRF token; Django would answer their POST with its CSRF page.
@csrf_exempt
def needless_slash(request: HttpRequest, **_: str) -> HttpResponse:
    """Answer a call with a slash at its end, which would belong to a counter's name."""
    return _not_found(request, request.path.rstrip("/"))


def _not_found(request: HttpRequest, other: str) -> HttpResponse:
    detail = f"There is nothing at {request.path!r}."
    if other:
        if request.method in {"GET", "HEAD"} and _wants_page(request):
            return HttpResponseRedirect(escape_leading_slashes(other))
        detail += f" Did you mean {other!r}?"
    return _answer(request, problem(HTTPStatus.NOT_FOUND, "not-found", detail))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django itself refuses, for example for its host name."""
    return _answer(
        request,
        problem(
            HTTPStatus.BAD_REQUEST,
            "bad-request",
            f"The server refuses this request ({type(exception).__name__}).",
        ),
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an error outside the API's views. Django has logged it."""
    error = sys.exception()
    if error is not None and (outage := _outage_of(error)) is not None:
        _note_outage(error)
        answer = _answer(request, outage)
        answer["Retry-After"] = RETRY_AFTER_SECONDS
        return answer
    return _answer(
        request,
        problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal-error",
            "An error occurred on the server. It was logged.",
        ),
    )


def _answer(request: HttpRequest, body: dict[str, Any]) -> HttpResponse:
    """Return a problem as JSON, or as a small page for a browser."""
    if not _wants_page(request):
        return JsonResponse(body, status=body["status"], content_type=MEDIA_TYPE)
    links = []
    for name, title in PAGES.items():
        with suppress(NoReverseMatch):
            links.append((reverse(name), title))
    page = format_html(
        PAGE, **body, links=format_html_join(" · ", '<a href="{}">{}</a>', links)
    )
    return HttpResponse(page, status=body["status"])


def _wants_page(request: HttpRequest) -> bool:
    """Tell whether the request comes from a browser."""
    return request.get_preferred_type([MEDIA_TYPE, "text/html"]) == "text/html"
