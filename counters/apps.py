"""The write side."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig

from counters import conf


class CountersConfig(AppConfig):
    name = "counters"
    verbose_name = "Counters"

    def ready(self) -> None:
        conf.refuse_bad_settings(conf.SETTINGS)
        import_module("counters.receivers")
        import_module("counters.checks")
        # Before anything can fork.
        import_module("counters.forking")
