"""One path: `POST add/{name}`."""

from __future__ import annotations

from django.urls import path

from benchmarks.plain.views import AddView

urlpatterns = [path("add/<str:name>", AddView.as_view())]
