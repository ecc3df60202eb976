"""All paths of the REST API, below /api/v1/ or another prefix.

A counter's own path takes any name, so the paths that end in a verb come first.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.urls import path, re_path

from counters.namespaces.api_tokens import NEEDS_KNOX
from counters.rest.paths import COUNTER

try:
    from counters.rest import views as writes
    from counters.rest.problems import needless_slash
    from rollups.rest import views
except ModuleNotFoundError as error:
    raise ImproperlyConfigured(NEEDS_KNOX) from error

NAMED = "namespaces/[^/]+/counters/.+"
NAMESPACE = "namespaces/<str:namespace>"
# The project may use names such as "counter" itself.
app_name = "counters"
urlpatterns = [
    path("events", writes.EventsView.as_view(), name="events"),
    path("namespaces", writes.NamespacesView.as_view(), name="namespaces"),
    path(NAMESPACE, writes.NamespaceView.as_view(), name="namespace"),
    path(f"{NAMESPACE}/counters", views.CountersListView.as_view(), name="counters"),
    path(f"{NAMESPACE}/add", views.AddByNameView.as_view(), name="add-by-name"),
    path(f"{NAMESPACE}/read", views.ReadView.as_view(), name="read-by-name"),
    path(f"{NAMESPACE}/clear", views.ClearByNameView.as_view(), name="clear-by-name"),
    path(
        f"{NAMESPACE}/delete", views.DeleteByNameView.as_view(), name="delete-by-name"
    ),
    path(
        f"{NAMESPACE}/series", views.SeriesByNameView.as_view(), name="series-by-name"
    ),
    path(f"{NAMESPACE}/total", views.TotalView.as_view(), name="total-by-name"),
    path(f"{COUNTER}/add", views.AddView.as_view(), name="add"),
    path(f"{COUNTER}/clear", views.ClearView.as_view(), name="clear"),
    path(f"{COUNTER}/series", views.SeriesView.as_view(), name="series"),
    re_path(f"^{NAMED}/(?:add|clear|series)/$", needless_slash),
    path(COUNTER, views.CounterView.as_view(), name="counter"),
]
