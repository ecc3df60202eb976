"""The read API's paths, below /api/v1/; to be included after the write API's.

A counter's own path takes any name, so the paths that end in a verb come first.
"""

from __future__ import annotations

from django.urls import path

from rollups.api.counter import CounterView

urlpatterns = [
    path(
        "namespaces/<str:namespace>/counters/<counter_name:name>",
        CounterView.as_view(),
        name="counter",
    )
]
