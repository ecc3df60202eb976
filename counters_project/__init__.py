"""Settings, Celery, URLs and the embedded servers of the counter service."""

from __future__ import annotations

from counters_project.celery import app as celery_app

__all__ = ["celery_app"]
