"""`GET namespaces/{ns}/counters`: list counters; `DELETE …?name=`: delete one."""

from __future__ import annotations

from urllib.parse import urlencode

from rest_framework.request import Request
from rest_framework.response import Response

from counters.namespaces import deletion
from counters.recording import names
from counters.rest.base import CountersView
from counters.rest.parsers import read_text, read_whole_number
from rollups.reading import listing
from rollups.reading.listing import Place
from rollups.rest import cursors, descriptions
from rollups.rest.responses import reading_body


class CountersListView(CountersView):
    """List a namespace's counters, searched and ordered, in pages; delete one by name."""

    @descriptions.list_counters
    def get(self, request: Request, namespace: str) -> Response:
        found = self.check_right(request, namespace, "read")
        query = request.query_params
        ordering = query.get("ordering", "name")
        cursor = query.get("cursor")
        page = listing.list_counters(
            namespace=found.name,
            ordering=ordering,
            search=read_text("search", query.get("search", "")),
            place=None if cursor is None else cursors.read(cursor, ordering),
            limit=read_whole_number("limit", query.get("limit"), listing.DEFAULT_LIMIT),
        )
        return Response(
            {
                "results": [reading_body(reading) for reading in page.readings],
                "next": _link(request, page.next, ordering),
                "previous": _link(request, page.previous, ordering),
            }
        )

    @descriptions.delete_by_query
    def delete(self, request: Request, namespace: str) -> Response:
        self.check_right(request, namespace, "manage")
        name = names.check(request.query_params.get("name"))
        deletion.delete_counter(
            namespace=namespace, name=name, confirm=request.query_params.get("confirm")
        )
        return Response({"name": name})


def _link(request: Request, place: Place | None, ordering: str) -> str | None:
    """Return the URL of the page at a place, with the rest of this request's query."""
    if place is None:
        return None
    query = {**request.query_params.dict(), "cursor": cursors.write(place, ordering)}
    return str(request.build_absolute_uri(f"{request.path}?{urlencode(query)}"))
