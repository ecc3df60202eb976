"""A small blog that counts the views of its articles."""

from __future__ import annotations

from blog.celery import app as celery_app

__all__ = ["celery_app"]
