"""Ordinary calls of the API, which need no DRF request.

DRF's negotiation, parsing and rendering take about as much CPU time as an add. Most calls do
not need them: the API token is in the cache, the body is JSON, and the client accepts JSON. For
any other call `ordinary_call` returns None, and DRF handles it. Both paths share their handlers,
rate limit, checks and errors, so they give the same answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import IO, Any, Protocol, cast

from django.http import HttpRequest, HttpResponse, QueryDict
from rest_framework.authentication import get_authorization_header
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from counters.namespaces import api_tokens
from counters.rest.parsers import StrictJSONParser

# As clients send them. Other forms of the same are left to DRF, which parses the headers.
_ACCEPTS_JSON = frozenset(
    {
        "*/*",
        "application/json",
        "application/json, */*",
        "application/json, text/plain, */*",
    }
)
_JSON_BODY = frozenset(
    {
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=utf-8",
    }
)
_parser = StrictJSONParser()
_renderer = JSONRenderer()


# The body of an answer of 200, which is all that most handlers return.
Body = Mapping[str, object]


class ApiRequest(Protocol):
    """What handlers use of a request, DRF's or an ordinary call."""

    user: Any
    auth: Any
    path: str
    META: dict[str, Any]

    @property
    def method(self) -> str | None: ...

    @property
    def data(self) -> Any: ...

    @property
    def query_params(self) -> QueryDict: ...

    def build_absolute_uri(self, location: str | None = None) -> str: ...


class OrdinaryCall:
    """A call with a known API token; its body, if it has one, is JSON."""

    # Read by DRF's `finalize_response`.
    accepted_renderer = _renderer
    accepted_media_type = _renderer.media_type

    def __init__(self, request: HttpRequest, user: Any, auth: Any) -> None:
        self._request = request
        self.user = request.user = user
        self.auth = auth
        self.path = request.path
        self.method = request.method
        self.META = request.META
        self.query_params = request.GET

    @cached_property
    def data(self) -> Any:
        """Parse the body, for a handler that has checked the rights before."""
        return _parser.parse(cast(IO[bytes], self._request))

    def build_absolute_uri(self, location: str | None = None) -> str:
        return self._request.build_absolute_uri(location)


def ordinary_call(request: HttpRequest, *, most_body_bytes: int) -> OrdinaryCall | None:
    """Return the request as an ordinary call, or None if it is unusual in any way."""
    meta = request.META
    known = api_tokens.remembered.get(
        api_tokens.digest(get_authorization_header(cast(Request, request)))
    )
    if (
        known is None
        or meta.get("HTTP_ACCEPT", "*/*") not in _ACCEPTS_JSON
        or "HTTP_CONTENT_ENCODING" in meta
        or "HTTP_TRANSFER_ENCODING" in meta
    ):
        return None
    length = meta.get("CONTENT_LENGTH") or "0"
    if request.method == "GET":
        is_ordinary = length == "0"
    elif request.method == "POST":
        is_ordinary = (
            meta.get("CONTENT_TYPE", "").lower() in _JSON_BODY
            and length.isdecimal()
            and 0 < int(length[:20]) <= most_body_bytes
        )
    else:
        is_ordinary = False
    return OrdinaryCall(request, *known) if is_ordinary else None


def answer_json(body: Body) -> HttpResponse:
    """Return a body as DRF would render it."""
    return HttpResponse(_renderer.render(body), content_type=_renderer.media_type)
