"""The read side and the background."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class RollupsConfig(AppConfig):
    name = "rollups"
    verbose_name = "Rollups"

    def ready(self) -> None:
        import_module("rollups.receivers")
        import_module("rollups.checks")
        # Celery finds tasks.py by itself; these need a name to be found by.
        import_module("rollups.periodic")
