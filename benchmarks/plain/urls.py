"""The plainest DRF view that counts, under `POST add/{name}`."""

from __future__ import annotations

from typing import Any

from django.db.models import F
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from benchmarks.plain.models import PlainCounter


class AddView(APIView):
    """Add the body's delta to a counter's row."""

    def post(self, request: Request, name: str) -> Response:
        counters = PlainCounter._default_manager.filter(name=name)
        body: Any = request.data
        counters.update(total=F("total") + int(body["delta"]))
        return Response({"name": name})


urlpatterns = [path("add/<str:name>", AddView.as_view())]
