"""`GET/DELETE namespaces/{ns}/counters/{name}` and `POST namespaces/{ns}/delete`."""

from __future__ import annotations

from http import HTTPStatus

from rest_framework.request import Request
from rest_framework.response import Response

from counters.namespaces import deletion
from counters.recording import names
from counters.rest.base import CountersView
from counters.rest.parsers import read_named
from rollups import counts as reading
from rollups.rest import descriptions
from rollups.rest.responses import reading_body


class CounterView(CountersView):
    """Read a counter, eventual or accurate; delete it for good."""

    @descriptions.read
    def get(self, request: Request, namespace: str, name: str) -> Response:
        self.check_right(request, namespace, "read")
        accuracy = request.query_params.get("accuracy")
        read = reading.get(namespace=namespace, name=name, accuracy=accuracy)
        return Response(reading_body(read))

    @descriptions.delete
    def delete(self, request: Request, namespace: str, name: str) -> Response:
        self.check_right(request, namespace, "manage")
        deletion.delete_counter(
            namespace=namespace, name=name, confirm=request.query_params.get("confirm")
        )
        return Response(status=HTTPStatus.NO_CONTENT)


class DeleteByNameView(CountersView):
    """Delete a counter for good, with its name in the body."""

    @descriptions.delete_by_name
    def post(self, request: Request, namespace: str) -> Response:
        self.check_right(request, namespace, "manage")
        fields = read_named(request.data, None, allowed=frozenset({"confirm"}))
        name = names.check(fields["name"])
        deletion.delete_counter(
            namespace=namespace, name=name, confirm=fields.get("confirm")
        )
        return Response({"name": name})
