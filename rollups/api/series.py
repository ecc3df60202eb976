"""`GET namespaces/{ns}/counters/{name}/series`."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from counters.api.parsers import read_claim, read_time
from counters.api.views import CountersView
from rollups import series
from rollups.api import described
from rollups.api.shapes import series_body


class SeriesView(CountersView):
    """A counter's folded sums per minute, hour or day."""

    @described.series
    def get(self, request: Request, namespace: str, name: str) -> Response:
        found = self.check_right(request, namespace, "read")
        query = request.query_params
        read = series.get(
            found,
            name,
            bucket=query.get("bucket"),
            since=read_time("from", query.get("from")),
            until=read_time("to", query.get("to")),
            with_gaps=read_claim("gaps", query.get("gaps")),
        )
        return Response(series_body(read))
