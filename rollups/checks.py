"""System checks of Celery settings, models and queues.

rollups.conf refuses the apps' own settings out of their ranges while the app is loaded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from celery import current_app
from celery.loaders.default import Loader as LoaderOfNoApp
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution

from counters.checks import warn_of_unknown
from counters.models import CounterType
from counters.namespaces.lookup import NAMESPACE
from counters.namespaces.settings import NAME_WANTED
from rollups import conf
from rollups.registry import declared
from rollups.trigger.broker import broker_urls

_BROKERS = {"redis", "rediss", "amqp", "amqps", "pyamqp"}


@register(Tags.compatibility)
def check_names(**_: Any) -> list[CheckMessage]:
    """Check that each ROLLUPS_ setting is known."""
    return [*warn_of_unknown("ROLLUPS_", conf.SETTINGS, check_id="rollups.W011")]


@register()
def check_trigger(**_: Any) -> list[CheckMessage]:
    return [*_check_mode(), *_check_broker()]


def _check_mode() -> list[CheckMessage]:
    if not getattr(settings, "CELERY_TASK_ALWAYS_EAGER", False):
        return []
    return [
        Caution(
            "CELERY_TASK_ALWAYS_EAGER is set, so no trigger is sent: an add does not fold.",
            hint="Fold with `manage.py counters rollup`, or read with accuracy='accurate'.",
            id="rollups.W002",
        )
    ]


def _check_broker() -> list[CheckMessage]:
    if conf.trigger_mode() == "off":
        return []
    urls = broker_urls(
        getattr(settings, "CELERY_BROKER_URL", None)
        or current_app.conf.broker_write_url
    )
    if not urls:
        return [
            _no_broker(
                "CELERY_BROKER_URL is not set: triggers have no broker to go to."
            )
        ]
    return [found for url in urls for found in _check_url(url)]


def _check_url(url: str) -> list[CheckMessage]:
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname
    except ValueError:
        scheme, host = "", None
    if scheme not in _BROKERS:
        return [
            _no_broker(
                f"CELERY_BROKER_URL has the scheme {scheme!r}; triggers are tested on"
                " Redis, Valkey and RabbitMQ only."
            )
        ]
    if conf.trigger_mode() == "inline" and host and not _is_address(host):
        return [
            Caution(
                f"ROLLUPS_TRIGGER is 'inline' and the broker is the name {host!r}:"
                " looking it up has no time-out, so a sick resolver holds up writers.",
                hint="Give the broker's address, or use 'background'.",
                id="rollups.W005",
            )
        ]
    return []


def _no_broker(message: str) -> CheckMessage:
    return Error(
        message,
        hint="Use redis://host:port/db or amqp://user:password@host:port/vhost. Give several"
        " as a list, or separate them by `;`.",
        id="rollups.E004",
    )


def _is_address(host: str) -> bool:
    return host == "localhost" or ":" in host or host.replace(".", "").isdigit()


SWEEP = "rollups.sweep"


@register()
def check_celery(**_: Any) -> list[CheckMessage]:
    """Check that the project has a Celery app and that its beat sends the sweep, unless the
    triggers are off, and `counters rollup --watch` folds without Celery.
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
            " rollups.worker.schedule. Without beat run `manage.py counters rollup --watch`, and hourly"
            " `manage.py counters partitions --make --close --reindex`.",
            id="rollups.W007",
        )
    ]


@register(Tags.models)
def check_declared(**_: Any) -> list[CheckMessage]:
    """Check the counter fields of all models."""
    return [*_check_namespaces(), *_check_types()]


def _task_of(entry: Any) -> object:
    """Return the task of a schedule entry: a dictionary, or Celery's ScheduleEntry."""
    return entry.get("task") if isinstance(entry, dict) else entry.task


def _check_namespaces() -> Iterator[CheckMessage]:
    for model, field in declared():
        where = f"{model._meta.label}.{field.attribute}"
        if not NAMESPACE.fullmatch(field.namespace):
            yield Error(
                f"{where}: namespace={field.namespace!r} is not a valid name of a namespace.",
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
    """Check that the fields of one namespace agree on its type."""
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
