"""What `migrate` does of its own accord, in projects with more than one database."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.migrations.state import ProjectState

from counters import receivers
from counters.models import Namespace


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The databases in which partitions were made."""
    asked: list[str] = []

    def make_ahead(*, using: str) -> None:
        asked.append(using)

    monkeypatch.setattr("counters.receivers.create.make_ahead", make_ahead)
    return asked


@pytest.mark.django_db
def test_migrate__makes_partitions(made: list[str]) -> None:
    receivers.make_partitions(using="default", apps=apps)

    assert made == ["default"]


def test_migrate__of_other_apps_only_makes_none(made: list[str]) -> None:
    receivers.make_partitions(using="default", apps=ProjectState().apps)

    assert made == []


def test_migrate__of_a_database_without_our_tables_makes_none(
    made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def allow_migrate(using: str, app_label: str, **_: Any) -> bool:
        return False

    monkeypatch.setattr(router, "allow_migrate", allow_migrate)

    receivers.make_partitions(using="default", apps=apps)

    assert made == []


def test_migrate__of_sqlite_makes_none(
    made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(connections["default"]), "vendor", "sqlite")

    receivers.make_partitions(using="default", apps=apps)

    assert made == []


@pytest.mark.django_db
def test_migrate__replaces_no_table_that_has_rows(namespace: Namespace) -> None:
    """Tables that Django made from the models are replaced, but not what is in them."""
    with connections["default"].cursor() as cursor:
        cursor.execute("ALTER TABLE counters_event RENAME TO made_by_migrations")
        cursor.execute("CREATE TABLE counters_event (LIKE made_by_migrations)")

    with pytest.raises(ImproperlyConfigured, match="contain rows"):
        receivers.make_tables_by_migrations("default")
