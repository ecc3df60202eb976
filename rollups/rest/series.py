"""`GET namespaces/{ns}/counters/{name}/series`, `…/series?name=` and `…/total?name=`."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from counters.json_values import read_time
from counters.recording import names
from counters.rest.base import CountersView
from counters.rest.parsers import read_claim
from rollups import counts
from rollups.rest import descriptions
from rollups.rest.responses import series_body, total_body


class SeriesView(CountersView):
    """A counter's folded sums per minute, hour or day."""

    @descriptions.series
    def get(
        self, request: Request, namespace: str, name: str | None = None
    ) -> Response:
        found = self.check_right(request, namespace, "read")
        query = request.query_params
        checked = names.check(query.get("name") if name is None else name)
        read = counts.series(
            namespace=found.name,
            name=checked,
            bucket=query.get("bucket"),
            since=read_time("from", query.get("from")),
            until=read_time("to", query.get("to")),
            with_gaps=read_claim("gaps", query.get("gaps")),
        )
        return Response(self.named(checked, name, series_body(read)))


class SeriesByNameView(SeriesView):
    """SeriesView with the counter's name in the query."""

    @descriptions.series_by_name
    def get(
        self, request: Request, namespace: str, name: str | None = None
    ) -> Response:
        return super().get(request, namespace)


class TotalView(CountersView):
    """Read the folded sum of a counter in a span; by default of all its events."""

    @descriptions.total
    def get(self, request: Request, namespace: str) -> Response:
        found = self.check_right(request, namespace, "read")
        query = request.query_params
        total = counts.total(
            namespace=found.name,
            name=names.check(query.get("name")),
            since=read_time("from", query.get("from")),
            until=read_time("to", query.get("to")),
        )
        return Response(total_body(total))
