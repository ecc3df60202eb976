"""The read API's paths, below /api/v1/; to be included BEFORE the write API's.

Its add is the write API's with AddAndGet on top. A counter's own path takes any name, so
the paths that end in a verb come first.
"""

from __future__ import annotations

from django.urls import path

from counters.api.paths import COUNTER
from rollups.api.add_and_get import AddAndGetView
from rollups.api.clear import ClearView
from rollups.api.counter import CounterView
from rollups.api.counters import CountersListView
from rollups.api.series import SeriesView

urlpatterns = [
    path(
        "namespaces/<str:namespace>/counters",
        CountersListView.as_view(),
        name="counters",
    ),
    path(f"{COUNTER}/add", AddAndGetView.as_view(), name="counter-add-and-get"),
    path(f"{COUNTER}/clear", ClearView.as_view(), name="counter-clear"),
    path(f"{COUNTER}/series", SeriesView.as_view(), name="counter-series"),
    path(COUNTER, CounterView.as_view(), name="counter"),
]
