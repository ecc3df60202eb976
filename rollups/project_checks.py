"""System checks: what the Celery app and the models of a project lack still."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from celery import current_app
from celery.loaders.default import Loader as LoaderOfNoApp
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution

from counters.models import CounterType
from counters.namespaces.lookup import NAMESPACE
from counters.namespaces.settings import NAME_WANTED
from rollups import conf
from rollups.registry import declared

SWEEP = "rollups.sweep"


@register()
def check_celery(**_: Any) -> list[CheckMessage]:
    """The project's Celery app is there, and its beat sends the sweep; unless the
    triggers are off, and `rollup --watch` folds without Celery.
    """
    if conf.trigger_mode() == "off":
        return []
    if isinstance(current_app.loader, LoaderOfNoApp):
        return [
            Caution(
                "Django starts without a Celery app of your project, so triggers would go"
                " to Celery's default broker.",
                hint="Import the app in the __init__.py of your project:"
                " `from mysite.celery import app as celery_app`.",
                id="rollups.W006",
            )
        ]
    schedule: dict[str, Any] = current_app.conf.beat_schedule or {}
    # Its entries are in the database, where no check looks.
    in_database = "django_celery_beat" in str(current_app.conf.beat_scheduler)
    if in_database or any(_task_of(each) == SWEEP for each in schedule.values()):
        return []
    return [
        Caution(
            "The beat schedule has no sweep: a counter whose trigger is lost stays behind"
            " until it is written or read again, and no partitions are made ahead.",
            hint="CELERY_BEAT_SCHEDULE = {**beat_schedule(), ...}, from"
            " rollups.worker.schedule. Without beat run `manage.py rollup --watch`, and hourly"
            " `manage.py partitions --make --close --compact`.",
            id="rollups.W007",
        )
    ]


@register(Tags.models)
def check_declared(**_: Any) -> list[CheckMessage]:
    """The counters that models declare can be had."""
    return [*_check_namespaces(), *_check_types()]


def _task_of(entry: Any) -> object:
    """Celery takes dictionaries and its own ScheduleEntry."""
    return entry.get("task") if isinstance(entry, dict) else entry.task


def _check_namespaces() -> Iterator[CheckMessage]:
    for model, field in declared():
        where = f"{model._meta.label}.{field.attribute}"
        if not NAMESPACE.fullmatch(field.namespace):
            yield Error(
                f"{where}: namespace={field.namespace!r} is no name of one.",
                hint=f"Give {NAME_WANTED}.",
                obj=model,
                id="rollups.E008",
            )
        if field.counter_type not in CounterType.values:
            yield Error(
                f"{where}: counter_type={field.counter_type!r} is unknown.",
                hint=f"Use one of {', '.join(CounterType.values)}.",
                obj=model,
                id="rollups.E009",
            )


def _check_types() -> Iterator[CheckMessage]:
    """`migrate` creates each namespace once, with one type."""
    types: defaultdict[str, set[str]] = defaultdict(set)
    for _, field in declared():
        types[field.namespace].add(field.counter_type)
    for namespace, found in sorted(types.items()):
        if len(found) > 1:
            yield Error(
                f"Counters in the namespace {namespace!r} are declared with different"
                f" types: {', '.join(sorted(found))}.",
                hint="Give all of them the same counter_type, or namespaces of their own.",
                id="rollups.E010",
            )
