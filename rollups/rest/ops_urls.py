"""What the people who run the service look at, at the root."""

from __future__ import annotations

from django.urls import path

from rollups.rest.metrics import metrics

urlpatterns = [path("metrics", metrics)]
