"""Health and readiness, at the root."""

from __future__ import annotations

from django.urls import path

from rollups.rest.health import healthz, readyz

urlpatterns = [path("healthz", healthz), path("readyz", readyz)]
