"""The base of the API's views: API tokens, the rate limit, rights and tokens of events."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest
from rest_framework.authentication import (
    SessionAuthentication,
    get_authorization_header,
)
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from counters import conf
from counters.errors import InvalidValue
from counters.models import Namespace
from counters.namespaces import access, api_tokens
from counters.rate_window import RateWindow
from counters.recording import tokens
from counters.rest.calls import ApiRequest, OrdinaryCall, answer_json, ordinary_call
from counters.rest.parsers import (
    StrictJSONParser,
    check_encoding,
    check_length,
    check_no_body,
    check_query,
    read_idempotency_key,
)
from counters.rest.problems import answer_problem

try:
    from knox.auth import TokenAuthentication
except RuntimeError as error:
    raise ImproperlyConfigured(api_tokens.NEEDS_KNOX) from error

NO_HEADER_WANTED = "for a batch: give each event a token of its own"
_WITHOUT_BODY = {"GET", "HEAD", "DELETE"}
# As knox makes them. A guessed token costs one query by key; one of another shape, none.
_SHAPE = re.compile(rb"[0-9a-f]{64}")


class ApiTokenAuthentication(TokenAuthentication):  # type: ignore[misc]
    """Look up knox tokens and cache them for two seconds: a revoked token works for so long."""

    def authenticate(self, request: Request) -> Any:
        """Return the user and the token, or None for a header of another kind."""
        header = get_authorization_header(request)
        digest = api_tokens.digest(header)
        known = api_tokens.remembered.get(digest)
        if known is not None:
            return known
        found = self._look_up(request, header)
        return found and api_tokens.remembered.keep(digest, found)

    def _look_up(self, request: Request, header: bytes) -> Any:
        """Authenticate by knox's prefix, or by `Bearer` (RFC 6750), which most clients send."""
        scheme, *rest = header.split() or [b""]
        if scheme.lower() != b"bearer":
            return super().authenticate(request)
        if len(rest) != 1:
            raise AuthenticationFailed("Send one token: `Authorization: Bearer …`.")
        return self.authenticate_credentials(rest[0])

    def authenticate_credentials(self, token: bytes) -> Any:
        if not _SHAPE.fullmatch(token):
            raise AuthenticationFailed("Invalid token.")
        return super().authenticate_credentials(token)


minute = RateWindow("counters.rate", seconds=60)


class TokenRate(BaseThrottle):
    """Lets a token (or a session's user) make COUNTERS_API_RATE_PER_MINUTE calls a minute."""

    _reset_seconds = 0

    def allow_request(self, request: Request, view: APIView) -> bool:
        limit = conf.api_rate_per_minute()
        if not limit:
            return True
        digest = getattr(request.auth, "digest", None)
        caller = f"token-{digest}" if digest else f"user-{request.user.pk}"
        used = minute.count(caller)
        if used is None:
            return True
        self._reset_seconds = used.reset_seconds
        # CountersView.finalize_response sends them.
        view.rate_headers = {  # type: ignore[attr-defined]
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": str(max(0, limit - used.calls)),
            "RateLimit-Reset": str(used.reset_seconds),
        }
        return used.calls <= limit

    def wait(self) -> float:
        return self._reset_seconds


class CountersView(APIView):
    """A view that checks rights in a namespace before it does anything.

    It sets the options that DRF would otherwise take from REST_FRAMEWORK, so that these
    calls behave the same in every project.
    """

    authentication_classes = [ApiTokenAuthentication, SessionAuthentication]
    permission_classes = [IsAuthenticated]
    renderer_classes = [JSONRenderer]
    parser_classes = [StrictJSONParser]
    throttle_classes = [TokenRate]
    # Set by TokenRate, if there is a limit.
    rate_headers: Mapping[str, str] = {}
    # Far more than one event or a namespace's settings can need.
    most_body_bytes = 64 * 1024

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Serve an ordinary call in the order of `initial`; leave any other to DRF."""
        # Any: DRF's methods take the call as if it were one of DRF's requests.
        call: Any = ordinary_call(request, most_body_bytes=self.most_body_bytes)
        handler = getattr(self, call.method.lower(), None) if call else None
        if handler is None:
            return super().dispatch(request, *args, **kwargs)
        self.headers = self.default_response_headers
        try:
            self.check_throttles(call)
            self._check_query(call)
            answer = handler(call, *args, **kwargs)
        except Exception as error:
            answer = answer_problem(error, {})
            if answer is None:
                raise
        return self.finalize_response(call, answer)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        try:
            super().initial(request, *args, **kwargs)
        except Http404:
            # DRF has read `?format=` as its own parameter, which these calls do not have.
            self._check_query(request)
            raise
        self._check_query(request)
        check_encoding(request)
        check_length(request, most=self.most_body_bytes)
        # A method that the view lacks is answered with 405, whatever the body.
        if request.method in _WITHOUT_BODY and hasattr(self, request.method.lower()):
            check_no_body(request)

    def _check_query(self, request: ApiRequest) -> None:
        handler = getattr(self, (request.method or "").lower(), None)
        known = getattr(handler, "query_parameters", None)
        if known is not None:
            check_query(request.query_params, known)

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return answer_problem

    def finalize_response(
        self, request: Any, response: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Add headers; a handler may return just the body of an answer of 200."""
        if isinstance(response, dict):
            is_ordinary = isinstance(request, OrdinaryCall)
            response = answer_json(response) if is_ordinary else Response(response)
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in self.rate_headers.items():
            response[name] = value
        return response

    @staticmethod
    def named(
        name: str, in_path: str | None, answer: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the answer, with the name added if it was not in the path.

        A client compares it with the name that it sent, to see that no proxy has changed it.
        """
        return {**answer} if in_path is not None else {"name": name, **answer}

    def check_right(
        self, request: ApiRequest, namespace: object, right: access.Right
    ) -> Namespace:
        return access.check(cast(access.User, request.user), namespace, right)


def token_of(request: ApiRequest, in_body: object) -> object:
    """Return the token of the body or of the Idempotency-Key header; they must agree."""
    in_header = read_idempotency_key(request.META.get("HTTP_IDEMPOTENCY_KEY"))
    if in_header is None or in_header == in_body:
        return in_body
    # A UUID is the same token in lower and upper case.
    if in_body is None or tokens.parse(in_header).uuid == tokens.parse(in_body).uuid:
        return in_header
    raise InvalidValue("token", in_body, f"the Idempotency-Key header's {in_header!r}")


def refuse_token_in_header(request: ApiRequest) -> None:
    """Raise InvalidValue for an Idempotency-Key, which would not protect a batch."""
    in_header = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if in_header is not None:
        raise InvalidValue("Idempotency-Key", in_header, NO_HEADER_WANTED)
