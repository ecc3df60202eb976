"""`POST …/add?get=accurate|eventual`, by path or by name: AddAndGet."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from counters.errors import NotAnchored
from counters.rest.add import AddView
from rollups.folding import cluster_identity
from rollups.reading.many import get_or_zero
from rollups.reading.read import choose_accuracy
from rollups.rest import descriptions
from rollups.rest.responses import count_body


class AddAndGetView(AddView):
    """The write API's add, which also returns the count where `get` asks for it."""

    @descriptions.add_and_get
    def post(
        self, request: Request, namespace: str, name: str | None = None
    ) -> Response:
        wanted = request.query_params.get("get")
        if wanted is None:
            return super().post(request, namespace, name)
        # Before anything is written: an add that counted must not answer an error.
        found = self.check_right(request, namespace, "read")
        accuracy = choose_accuracy(found, wanted, field="get")
        if accuracy == "accurate" and not cluster_identity.is_anchored():
            raise NotAnchored
        counted, added = self.add(request, namespace, name)
        # If the counter has been deleted since, the count is 0: a 404 would say that nothing was
        # added. If the namespace has been deleted, the answer is a 404, as for all later calls.
        read = get_or_zero(namespace=namespace, name=counted, accuracy=accuracy)
        return Response({**added, **count_body(read)})


class AddAndGetByNameView(AddAndGetView):
    """AddAndGetView with the counter's name in the body."""

    @descriptions.add_and_get_by_name
    def post(
        self, request: Request, namespace: str, name: str | None = None
    ) -> Response:
        return super().post(request, namespace)
