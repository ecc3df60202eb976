"""The settings of a next version: one migration more."""

from __future__ import annotations

from counters_project.settings import *  # noqa: F403

MIGRATION_MODULES = {"counters": "tests.upgrades.next_version.migrations"}
