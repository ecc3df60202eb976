"""The write side."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class CountersConfig(AppConfig):
    name = "counters"
    verbose_name = "Counters"

    def ready(self) -> None:
        import_module("counters.receivers")
        import_module("counters.checks")
        # In place before anything can fork.
        import_module("counters.forking")
