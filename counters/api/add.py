"""`POST namespaces/{ns}/counters/{name}/add`."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from counters.api import described
from counters.api.parsers import read_delta, read_object, read_time
from counters.api.shapes import RecordedBody, recorded_body
from counters.api.views import CountersView, token_of
from counters.checking import check_event
from counters.recording import add_checked

FIELDS = frozenset({"delta", "token", "generation_time"})


class AddView(CountersView):
    """Add a delta to a counter. A repeat of a token gets the first answer again."""

    @described.add
    def post(self, request: Request, namespace: str, name: str) -> Response:
        return Response(self.add(request, namespace, name))

    def add(self, request: Request, namespace: str, name: str) -> RecordedBody:
        self.check_right(request, namespace, "write")
        body = read_object(request.data, allowed=FIELDS)
        recorded = add_checked(
            check_event(
                namespace=namespace,
                name=name,
                delta=read_delta(body.get("delta")),
                token=token_of(request, body.get("token")),
                generation_time=read_time(
                    "generation_time", body.get("generation_time")
                ),
            )
        )
        return recorded_body(recorded)
