"""The read side and the background."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from django.apps import AppConfig

from counters.conf import refuse_bad_settings
from rollups import conf


class RollupsConfig(AppConfig):
    name = "rollups"
    verbose_name = "Rollups"

    def __init__(self, app_name: str, app_module: Any) -> None:
        super().__init__(app_name, app_module)
        refuse_bad_settings(conf.SETTINGS)
        # Before any model is loaded: prometheus_client reads it when it is imported.
        if directory := conf.make_metrics_dir():
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)

    def ready(self) -> None:
        import_module("rollups.receivers")
        import_module("rollups.checks")
        import_module("rollups.worker.tasks")
        # Imports models, which are there by now.
        import_module("rollups.registry").connect_deletions()
