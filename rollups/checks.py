"""System checks: Celery settings that would lose triggers or hang writers.

rollups.conf refuses the apps' own settings out of their ranges while the app is loaded.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from celery import current_app
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution

from rollups import conf
from rollups.trigger.queues import broker_urls

_BROKERS = {"redis", "rediss", "amqp", "amqps", "pyamqp"}


@register()
def check_trigger(**_: Any) -> list[CheckMessage]:
    return [*_check_mode(), *_check_broker()]


def _check_mode() -> list[CheckMessage]:
    if not getattr(settings, "CELERY_TASK_ALWAYS_EAGER", False):
        return []
    return [
        Caution(
            "CELERY_TASK_ALWAYS_EAGER runs tasks in the process that sends them, but not"
            " the rollup task: its messages go to a broker in any case.",
            hint="Fold with `manage.py rollup`, or read with accuracy='accurate'.",
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
