"""The pages, the admin, and the counters' REST API."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from articles.views import ArticleListView, ArticleView

urlpatterns = [
    path("", ArticleListView.as_view(), name="articles"),
    path("articles/<int:pk>/", ArticleView.as_view(), name="article"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("rollups.rest.urls")),  # counters: for the API
]
