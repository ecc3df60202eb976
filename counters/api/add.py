"""`POST namespaces/{ns}/counters/{name}/add`."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from counters.api.parsers import read_object, read_time
from counters.api.shapes import recorded_body
from counters.checking import check_event
from counters.errors import InvalidValue
from counters.recording import add_checked

FIELDS = frozenset({"delta", "token", "generation_time"})


class AddView(APIView):
    """Add a delta to a counter. A repeat of a token gets the first answer again."""

    def post(self, request: Request, namespace: str, name: str) -> Response:
        body = read_object(request.data, allowed=FIELDS)
        recorded = add_checked(
            check_event(
                namespace=namespace,
                name=name,
                delta=body.get("delta"),
                token=_token(request, body.get("token")),
                generation_time=read_time(
                    "generation_time", body.get("generation_time")
                ),
            )
        )
        return Response(recorded_body(recorded))


def _token(request: Request, in_body: object) -> object:
    """Return the token of the body or of the Idempotency-Key header; both must agree."""
    in_header = request.headers.get("Idempotency-Key")
    if in_header is None or in_header == in_body:
        return in_body
    if in_body is None:
        return in_header
    raise InvalidValue("token", in_body, f"the Idempotency-Key header's {in_header!r}")
