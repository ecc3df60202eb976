"""`POST namespaces/{ns}/counters/{name}/add` and `POST namespaces/{ns}/add`."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from counters.json_values import read_delta, read_time
from counters.recording.record import record
from counters.recording.validation import check_event
from counters.rest import descriptions
from counters.rest.base import CountersView, token_of
from counters.rest.parsers import read_named
from counters.rest.responses import recorded_body

FIELDS = frozenset({"delta", "token", "generation_time"})


class AddView(CountersView):
    """Add a delta to a counter. A duplicate gets the first answer again."""

    @descriptions.add
    def post(
        self, request: Request, namespace: str, name: str | None = None
    ) -> Response:
        _, answer = self.add(request, namespace, name)
        return Response(answer)

    def add(
        self, request: Request, namespace: str, in_path: str | None
    ) -> tuple[str, dict[str, Any]]:
        """Add as the request says; return the counter's name and the answer."""
        self.check_right(request, namespace, "write")
        fields = read_named(request.data, in_path, allowed=FIELDS)
        event = check_event(
            namespace=namespace,
            name=fields["name"],
            delta=read_delta(fields.get("delta")),
            token=token_of(request, fields.get("token")),
            generation_time=read_time("generation_time", fields.get("generation_time")),
        )
        answer = recorded_body(record(event))
        return event.name, self.named(event.name, in_path, answer)


class AddByNameView(AddView):
    """AddView with the counter's name in the body."""

    @descriptions.add_by_name
    def post(
        self, request: Request, namespace: str, name: str | None = None
    ) -> Response:
        return super().post(request, namespace)
