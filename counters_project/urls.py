"""The URLs of the pages and the API."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from counters_project.openapi_views import DocsView, SchemaView

urlpatterns = [
    path("api/v1/", include("rollups.rest.urls")),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", DocsView.as_view(), name="docs"),
    path("", include("rollups.rest.health")),
    path("", include("rollups.pages.urls")),
    path("admin/", admin.site.urls),
]
handler400 = "counters.rest.problems.bad_request"
handler404 = "counters.rest.problems.not_found"
handler500 = "counters.rest.problems.server_error"
