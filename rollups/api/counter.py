"""`GET namespaces/{ns}/counters/{name}`."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from rollups import reading
from rollups.api.shapes import reading_body


class CounterView(APIView):
    """Read a counter: eventual (default) or accurate."""

    def get(self, request: Request, namespace: str, name: str) -> Response:
        accuracy = request.query_params.get("accuracy")
        return Response(
            reading_body(reading.get(namespace=namespace, name=name, accuracy=accuracy))
        )
