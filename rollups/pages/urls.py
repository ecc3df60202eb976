"""URLs of the operations page. For staff only."""

from __future__ import annotations

from django.urls import path

from rollups.pages import views

urlpatterns = [
    path("ops", views.page, name="ops"),
    path("ops/now", views.fragment, name="ops-now"),
]
