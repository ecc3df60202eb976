"""All paths of the REST API, those of the write API among them; below /api/v1/, say.

The add here is the write API's with AddAndGet on top, so it comes before that. A
counter's own path takes any name, so the paths that end in a verb come first.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.urls import include, path, re_path

from counters.namespaces.api_tokens import NEEDS_KNOX
from counters.rest.paths import COUNTER

try:
    from counters.rest.problems import needless_slash
except ModuleNotFoundError as error:
    raise ImproperlyConfigured(NEEDS_KNOX) from error
from rollups.rest.add_and_get import AddAndGetByNameView, AddAndGetView
from rollups.rest.clear import ClearByNameView, ClearView
from rollups.rest.counter import CounterView, DeleteByNameView
from rollups.rest.counters import CountersListView
from rollups.rest.read import ReadView
from rollups.rest.series import SeriesByNameView, SeriesView, TotalView

NAMED = "namespaces/[^/]+/counters/.+"
NAMESPACE = "namespaces/<str:namespace>"
# Names such as "counter" may be the project's own, too.
app_name = "counters"
urlpatterns = [
    path(f"{NAMESPACE}/counters", CountersListView.as_view(), name="counters"),
    path(
        f"{NAMESPACE}/add",
        AddAndGetByNameView.as_view(),
        name="counter-add-and-get-by-name",
    ),
    path(f"{NAMESPACE}/read", ReadView.as_view(), name="counters-read"),
    path(f"{NAMESPACE}/clear", ClearByNameView.as_view(), name="counter-clear-by-name"),
    path(
        f"{NAMESPACE}/delete", DeleteByNameView.as_view(), name="counter-delete-by-name"
    ),
    path(
        f"{NAMESPACE}/series", SeriesByNameView.as_view(), name="counter-series-by-name"
    ),
    path(f"{NAMESPACE}/total", TotalView.as_view(), name="counter-total"),
    path(f"{COUNTER}/add", AddAndGetView.as_view(), name="counter-add-and-get"),
    path(f"{COUNTER}/clear", ClearView.as_view(), name="counter-clear"),
    path(f"{COUNTER}/series", SeriesView.as_view(), name="counter-series"),
    re_path(f"^{NAMED}/(?:add|clear|series)/$", needless_slash),
    path(COUNTER, CounterView.as_view(), name="counter"),
    path("", include("counters.rest.urls")),
]
