"""Where the operations page lives; staff only, as the admin is."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from rollups.ops import views

urlpatterns = [
    path("ops", admin.site.admin_view(views.page), name="ops"),
    path("ops/now", admin.site.admin_view(views.fragment), name="ops-now"),
]
