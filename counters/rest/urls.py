"""The write API's paths, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from counters.rest.add import AddByNameView, AddView
from counters.rest.events import EventsView
from counters.rest.namespaces import NamespacesView, NamespaceView
from counters.rest.paths import COUNTER

urlpatterns = [
    path("namespaces", NamespacesView.as_view(), name="namespaces"),
    path("namespaces/<str:namespace>", NamespaceView.as_view(), name="namespace"),
    path(
        f"{COUNTER}/add",
        AddView.as_view(),
        name="counter-add",
    ),
    path(
        "namespaces/<str:namespace>/add",
        AddByNameView.as_view(),
        name="counter-add-by-name",
    ),
    path("events", EventsView.as_view(), name="events"),
]
