"""The write API's paths, below /api/v1/."""

from __future__ import annotations

from django.urls import path, register_converter

from counters.api.add import AddView
from counters.api.paths import CounterNameConverter

register_converter(CounterNameConverter, "counter_name")

urlpatterns = [
    path(
        "namespaces/<str:namespace>/counters/<counter_name:name>/add",
        AddView.as_view(),
        name="counter-add",
    )
]
