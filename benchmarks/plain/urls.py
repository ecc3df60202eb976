"""The plainest DRF views: `POST add/{name}` and `GET read/{name}`."""

from __future__ import annotations

from typing import Any

from django.db.models import F
from django.urls import path
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from benchmarks.plain.models import PlainCounter

counters = PlainCounter._default_manager


@api_view(["POST"])
def add(request: Request, name: str) -> Response:
    """Add the body's delta to a counter's row."""
    body: Any = request.data
    counters.filter(name=name).update(total=F("total") + int(body["delta"]))
    return Response({"name": name})


@api_view(["GET"])
def read(request: Request, name: str) -> Response:
    """Return a counter's total."""
    counter = counters.get(name=name)
    return Response({"name": counter.name, "count": counter.total})


urlpatterns = [path("add/<str:name>", add), path("read/<str:name>", read)]
