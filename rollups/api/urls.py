"""All paths of the REST API, those of the write API among them; below /api/v1/, say.

The add here is the write API's with AddAndGet on top, so it comes before that. A
counter's own path takes any name, so the paths that end in a verb come first.
"""

from __future__ import annotations

from django.urls import include, path

from counters.api.paths import COUNTER
from rollups.api.add_and_get import AddAndGetView
from rollups.api.clear import ClearView
from rollups.api.counter import CounterView
from rollups.api.counters import CountersListView
from rollups.api.series import SeriesView

# Names such as "counter" may be the project's own, too.
app_name = "counters"
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
    path("", include("counters.api.urls")),
]
