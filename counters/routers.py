"""Database router for projects with more than one database."""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS

APPS = ("counters", "rollups")


class CountersRouter:
    """Keep the tables of these apps in the default database.

    Reads go there too, because a replica may lack what was just added.
    """

    def db_for_read(self, model: Any, **_: Any) -> str | None:
        return DEFAULT_DB_ALIAS if model._meta.app_label in APPS else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool | None:
        return db == DEFAULT_DB_ALIAS if app_label in APPS else None
