"""What a new project lacks is said at its start, with an id and a hint."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import connection, connections
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from django.urls import include, path
from pytest_django import Settings

from counters.checks import check_api, check_server, check_settings

LOCAL = "django.core.cache.backends.locmem.LocMemCache"


def ids(found: list[Any]) -> list[str]:
    assert all(one.hint for one in found)
    return [one.id for one in found]


def test_checks__find_nothing_in_the_settings_as_they_are() -> None:
    assert check_settings() == []
    assert check_api() == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("USE_TZ", False, "counters.E003"),
        ("CACHES", {"default": {"BACKEND": LOCAL}}, "counters.W006"),
        ("COUNTERS_COLOUR", "red", "counters.W012"),
    ],
)
def test_check__names_what_is_wrong(
    settings: Settings, name: str, value: object, expected: str
) -> None:
    setattr(settings, name, value)

    assert ids(check_settings()) == [expected]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("COUNTERS_PARTITIONS_DAYS_AHEAD", "COUNTERS_PARTITION_DAYS_AHEAD"),
        # The prefix itself is misspelt.
        ("COUNTER_API_RATE_PER_MINUTE", "COUNTERS_API_RATE_PER_MINUTE"),
    ],
)
def test_check__names_the_setting_that_a_misspelt_one_is_near_to(
    settings: Settings, written: str, meant: str
) -> None:
    setattr(settings, written, 5)

    [found] = check_settings()

    assert found.id == "counters.W012"
    assert found.msg.startswith(f"The setting {written} is unknown")
    assert found.msg.endswith(f" Is {meant} meant?")
    assert meant in str(found.hint)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (IsolationLevel.READ_COMMITTED, []),
        (IsolationLevel.REPEATABLE_READ, ["counters.W007"]),
        (IsolationLevel.SERIALIZABLE, ["counters.W007"]),
    ],
)
def test_check__warns_of_snapshots_that_last_for_a_transaction(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    level: IsolationLevel,
    expected: list[str],
) -> None:
    options = settings.DATABASES["default"]["OPTIONS"]
    monkeypatch.setitem(options, "isolation_level", level)

    assert ids(check_settings()) == expected


@pytest.mark.django_db
def test_check__asks_the_server_for_its_own_isolation_level() -> None:
    assert check_server(databases=["default"]) == []
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_isolation = 'serializable'")
    try:
        assert ids(check_server(databases=["default"])) == ["counters.W007"]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET default_transaction_isolation")


@pytest.mark.django_db
def test_check__warns_of_acknowledged_adds_that_a_crash_loses() -> None:
    """By whatever it was set; here as a role's or a database's setting does."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
    try:
        assert ids(check_server(databases=["default"])) == ["counters.W011"]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET synchronous_commit")


def test_check__refuses_another_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(connections["default"]), "vendor", "sqlite")

    assert ids(check_settings()) == ["counters.E001"]
    assert check_server(databases=["default"]) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("version", "expected"),
    [(149_999, ["counters.E002"]), (150_000, []), (180_001, [])],
)
def test_check__refuses_an_old_server(
    monkeypatch: pytest.MonkeyPatch, version: int, expected: list[str]
) -> None:
    monkeypatch.setitem(vars(connections["default"]), "pg_version", version)

    assert ids(check_server(databases=["default"])) == expected


def test_check__does_not_ask_a_database_unasked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(vars(connections["default"]), "pg_version", 100_000)

    assert check_server() == []
    assert check_server(databases=["other"]) == []


class WithApi:
    urlpatterns = [path("counts/", include("rollups.rest.urls"))]


class WithoutApi:
    urlpatterns = [path("", include("rollups.rest.health"))]


@pytest.mark.parametrize(
    ("urls", "left_out", "expected"),
    [
        (WithApi, "rest_framework", ["counters.E004"]),
        (WithApi, "counters.rest.paths.CounterNameInPath", ["counters.W005"]),
        (WithoutApi, "rest_framework", []),
        (WithoutApi, "counters.rest.paths.CounterNameInPath", []),
    ],
)
def test_check__asks_for_what_the_api_needs_where_it_is_served(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    urls: Any,
    left_out: str,
    expected: list[str],
) -> None:
    settings.ROOT_URLCONF = urls
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if one != left_out]
    monkeypatch.setattr(apps, "is_installed", lambda name: name != left_out)

    assert ids(check_api()) == expected


@pytest.mark.parametrize(
    ("tenants", "expected"),
    [
        ({"TENANT_APPS": ["people"]}, 0),
        ({"TENANT_APPS": ["counters", "rollups.apps.RollupsConfig"]}, 2),
        ({"TENANT_TYPES": {"public": {"APPS": ["counters", "rollups"]}}}, 0),
        ({"TENANT_TYPES": {"shop": {"APPS": ["people", "counters"]}}}, 1),
    ],
)
def test_check__refuses_a_schema_of_counters_for_each_tenant(
    settings: Settings, tenants: dict[str, Any], expected: int
) -> None:
    """Settings of django-tenants; a worker does not know whose counters it folds."""
    for name, value in tenants.items():
        setattr(settings, name, value)

    assert ids(check_settings()) == ["counters.E010"] * expected
