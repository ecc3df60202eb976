"""System checks: settings that would lose triggers or hang writers stop the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from celery import current_app
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution

from rollups import conf
from rollups.queues import broker_urls

_BROKERS = {"redis", "rediss", "amqp", "amqps", "pyamqp"}
# Setting, how it is read, least, most, what it is.
_RANGES: tuple[tuple[str, Callable[[], float], float, float], ...] = (
    ("ROLLUPS_TRIGGER_GATHER_SECONDS", conf.trigger_gather_seconds, 0.001, 1),
    ("ROLLUPS_TRIGGER_TIMEOUT_SECONDS", conf.trigger_timeout_seconds, 0.005, 5),
    ("ROLLUPS_TRIGGER_PAUSE_SECONDS", conf.trigger_pause_seconds, 0.1, 60),
    ("ROLLUPS_TRIGGER_EXIT_SECONDS", conf.trigger_exit_seconds, 0, 30),
    (
        "ROLLUPS_TRIGGER_WAITING_COUNTERS",
        conf.trigger_waiting_counters,
        500,
        10_000_000,
    ),
    ("ROLLUPS_QUEUE_MESSAGES", conf.queue_messages, 100, 10_000_000),
    ("ROLLUPS_FOLD_REST_SECONDS", conf.fold_rest_seconds, 0, 10),
    ("ROLLUPS_FOLD_EVENTS", conf.fold_events, 1, 100_000_000),
    ("ROLLUPS_FOLD_IN_PARTS_AFTER_SECONDS", conf.fold_in_parts_after_seconds, 0, 3600),
    ("ROLLUPS_TASK_SECONDS", conf.task_seconds, 0.1, 60),
    ("ROLLUPS_SWEEP_PERIOD_SECONDS", conf.sweep_period_seconds, 0.1, 3600),
    ("ROLLUPS_SWEEP_GRACE_SECONDS", conf.sweep_grace_seconds, 0, 3600),
    ("ROLLUPS_SWEEP_COUNTERS", conf.sweep_counters, 1, 10_000_000),
)


@register()
def check_trigger(**_: Any) -> list[CheckMessage]:
    return [*_check_mode(), *_check_ranges(), *_check_broker()]


def _check_mode() -> list[CheckMessage]:
    mode = getattr(settings, "ROLLUPS_TRIGGER", "background")
    found: list[CheckMessage] = []
    if mode not in {"background", "inline", "off"}:
        found.append(
            Error(
                f"ROLLUPS_TRIGGER={mode!r} is unknown.",
                hint="Use 'background' (a thread publishes), 'inline' (the writer), or 'off'.",
                id="rollups.E001",
            )
        )
    if getattr(settings, "CELERY_TASK_ALWAYS_EAGER", False):
        found.append(
            Caution(
                "CELERY_TASK_ALWAYS_EAGER runs tasks in the process that sends them, but"
                " not the rollup task: its messages go to a broker in any case.",
                hint="Fold with `manage.py rollup`, or read with accuracy='accurate'.",
                id="rollups.W002",
            )
        )
    return found


def _check_ranges() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for name, read, least, most in _RANGES:
        value = getattr(settings, name, None)
        try:
            number = read()
        except (TypeError, ValueError):
            number = float("nan")
        if not least <= number <= most:
            found.append(
                Error(
                    f"{name}={value!r} is not a number from {least:g} to {most:g}.",
                    hint="docs/operations.md says what it does and its default.",
                    id="rollups.E003",
                )
            )
    return found


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
        hint="Use redis://host:port/db or amqp://user:password@host:port/vhost; several as"
        " a list, or with `;` between them.",
        id="rollups.E004",
    )


def _is_address(host: str) -> bool:
    return host == "localhost" or ":" in host or host.replace(".", "").isdigit()
