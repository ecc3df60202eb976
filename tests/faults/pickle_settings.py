"""The settings of a project whose workers accept pickled messages only."""

from __future__ import annotations

from counters_project.settings import *  # noqa: F403

CELERY_ACCEPT_CONTENT = ["pickle"]
