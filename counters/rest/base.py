"""What the API's views share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from django.http import Http404
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from counters.errors import InvalidValue
from counters.models import Namespace
from counters.namespaces import access
from counters.rest.authentication import ApiTokenAuthentication
from counters.rest.parsers import (
    StrictJSONParser,
    check_encoding,
    check_length,
    check_query,
    read_idempotency_key,
)
from counters.rest.problems import answer_problem
from counters.rest.rate_limit import Rate, TokenRate

NO_HEADER_WANTED = "for a batch: give each event a token of its own"


class CountersView(APIView):
    """A view that asks for rights in a namespace before it does anything.

    It says itself what DRF would otherwise take from REST_FRAMEWORK: these calls answer
    the same in every project, whatever its other APIs do.
    """

    authentication_classes = [ApiTokenAuthentication, SessionAuthentication]
    permission_classes = [IsAuthenticated]
    renderer_classes = [JSONRenderer]
    parser_classes = [StrictJSONParser]
    throttle_classes = [TokenRate]
    # Set by the throttle, where one is on.
    rate: Rate | None = None
    # Far more than one event or a namespace's settings can need.
    most_body_bytes = 64 * 1024

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        try:
            super().initial(request, *args, **kwargs)
        except Http404:
            # DRF took `?format=` for its own parameter, which these calls do not have.
            self._check_query(request)
            raise
        self._check_query(request)
        check_encoding(request)
        check_length(request, most=self.most_body_bytes)

    def _check_query(self, request: Request) -> None:
        handler = getattr(self, (request.method or "").lower(), None)
        known = getattr(handler, "query_parameters", None)
        if known is not None:
            check_query(request.query_params, known)

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return answer_problem

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.rate is not None:
            for name, value in self.rate.headers.items():
                response[name] = value
        return response

    @staticmethod
    def named(
        name: str, in_path: str | None, answer: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the answer, with the name added where the path did not have it.

        A client compares it with the name that it sent, to see that nothing on the way has
        changed it.
        """
        return {**answer} if in_path is not None else {"name": name, **answer}

    def check_right(
        self, request: Request, namespace: object, right: access.Right
    ) -> Namespace:
        return access.check(cast(access.User, request.user), namespace, right)


def token_of(request: Request, in_body: object) -> object:
    """Return the token of the body or of the Idempotency-Key header; both must agree."""
    in_header = read_idempotency_key(request.headers.get("Idempotency-Key"))
    if in_header is None or in_header == in_body:
        return in_body
    if in_body is None:
        return in_header
    raise InvalidValue("token", in_body, f"the Idempotency-Key header's {in_header!r}")


def refuse_token_in_header(request: Request) -> None:
    """Raise InvalidValue for an Idempotency-Key, where it would protect nothing."""
    in_header = request.headers.get("Idempotency-Key")
    if in_header is not None:
        raise InvalidValue("Idempotency-Key", in_header, NO_HEADER_WANTED)
