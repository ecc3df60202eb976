"""What a project's Celery app and models lack is said at its start, with a hint."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from celery.loaders.default import Loader
from pytest_django import Settings

from rollups import checks
from rollups.checks import check_celery, check_declared
from rollups.fields import CounterField
from rollups.models import Sweep
from rollups.worker.schedule import beat_schedule


def ids(found: list[Any]) -> list[str]:
    assert all(one.hint for one in found)
    return [one.id for one in found]


def test_checks__find_nothing_in_the_service() -> None:
    assert check_celery() == []
    assert check_declared() == []


def test_check__misses_the_projects_celery_app(monkeypatch: pytest.MonkeyPatch) -> None:
    nobodys = SimpleNamespace(loader=Loader(current_app))
    monkeypatch.setattr(checks, "current_app", nobodys)

    assert ids(check_celery()) == ["rollups.W006"]


@pytest.mark.parametrize(
    ("schedule", "scheduler", "expected"),
    [
        ({}, "celery.beat:PersistentScheduler", ["rollups.W007"]),
        ({"mine": {"task": "sweep"}}, "celery.beat:Scheduler", ["rollups.W007"]),
        ({"mine": SimpleNamespace(task="sweep")}, "", ["rollups.W007"]),
        ({}, "django_celery_beat.schedulers:DatabaseScheduler", []),
        ({"other": {"task": "mine"}, **beat_schedule()}, "", []),
    ],
)
def test_check__misses_the_sweep(
    monkeypatch: pytest.MonkeyPatch,
    schedule: dict[str, Any],
    scheduler: str,
    expected: list[str],
) -> None:
    conf = SimpleNamespace(beat_schedule=schedule, beat_scheduler=scheduler)
    project = SimpleNamespace(loader=current_app.loader, conf=conf)
    monkeypatch.setattr(checks, "current_app", project)

    assert ids(check_celery()) == expected


def test_schedule__names_tasks_that_there_are() -> None:
    tasks = {each["task"] for each in beat_schedule().values()}

    assert tasks <= set(current_app.tasks)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([CounterField(namespace="two words")], ["rollups.E008"]),
        (
            [CounterField(namespace="a", counter_type="exact")],
            ["rollups.E009"],
        ),
        (
            [
                CounterField(namespace="a"),
                CounterField(namespace="a", counter_type="best-effort"),
            ],
            ["rollups.E010"],
        ),
        ([CounterField(namespace="a"), CounterField(namespace="a")], []),
    ],
)
def test_check__refuses_what_migrate_could_not_create(
    monkeypatch: pytest.MonkeyPatch, fields: list[CounterField], expected: list[str]
) -> None:
    def declared() -> Iterator[tuple[Any, CounterField]]:
        yield from ((Sweep, field) for field in fields)

    monkeypatch.setattr(checks, "declared", declared)

    assert ids(check_declared()) == expected


def test_checks__miss_no_celery_where_triggers_are_off(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    nobodys = SimpleNamespace(loader=Loader(current_app))
    monkeypatch.setattr(checks, "current_app", nobodys)
    settings.ROLLUPS_TRIGGER = "off"

    assert check_celery() == []
