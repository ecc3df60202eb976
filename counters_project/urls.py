"""Where the pages and the API live."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from counters_project.api_pages import DocsView, SchemaView

urlpatterns = [
    path("api/v1/", include("rollups.api.urls")),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", DocsView.as_view(), name="docs"),
    path("", include("rollups.api.health_urls")),
    path("", include("rollups.api.ops_urls")),
    path("", include("rollups.ops.urls")),
    path("admin/", admin.site.urls),
]
handler400 = "counters.api.problems.bad_request"
handler404 = "counters.api.problems.not_found"
handler500 = "counters.api.problems.server_error"
