"""Signal receivers of the read side. Loaded when the app starts."""

from __future__ import annotations

import logging
from typing import Any

from celery import current_app
from celery.concurrency.prefork import TaskPool as ForkingPool
from celery.signals import (
    beat_embedded_init,
    beat_init,
    celeryd_after_setup,
    celeryd_init,
    task_prerun,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
)
from django.apps import apps
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.db import DEFAULT_DB_ALIAS, close_old_connections
from django.db.models.signals import post_migrate
from django.dispatch import receiver
from kombu.serialization import prepare_accept_content

from counters.models import Namespace
from counters.signals import counters_deleting, events_committed, window_widening
from rollups import conf, registry
from rollups.folding import retention
from rollups.models import Bucket, Failure, Rollup
from rollups.monitor import heartbeat, prometheus
from rollups.trigger import publisher, request
from rollups.trigger.broker import add_queue, is_read

logger = logging.getLogger(__name__)

JSON = "application/json"


@receiver(events_committed)
def fire_trigger(*, counter_ids: frozenset[int], events: int = 0, **_: Any) -> None:
    request.request(counter_ids, events=events)


@task_prerun.connect
def drop_broken_connections(**_: Any) -> None:
    """Give a task that follows a database failure a new connection.

    A worker keeps its connection between tasks; without this one that broke would fail
    every task after it.
    """
    close_old_connections()


@celeryd_init.connect
@beat_init.connect
@beat_embedded_init.connect
def add_our_queue(**_: Any) -> None:
    """Add the queue before a worker chooses its queues, and before beat sends."""
    add_queue()


@celeryd_init.connect
def accept_our_messages(*, conf: Any, **_: Any) -> None:
    """Accept JSON, the format of triggers, in addition to what the project accepts."""
    if JSON not in (prepare_accept_content(conf.accept_content) or {JSON}):
        conf.accept_content = [*conf.accept_content, JSON]


@celeryd_after_setup.connect
def warn_of_a_queue_left_out(**_: Any) -> None:
    if not is_read():
        read = ",".join(sorted(current_app.amqp.queues.consume_from))
        name = conf.queue_name()
        logger.warning(
            "This worker does not read the queue %r, so it folds no counters. If no other"
            " worker reads it, start this one with -Q %s, or without %s in -X.",
            name,
            f"{read},{name}" if read else name,
            name,
        )


@worker_ready.connect
def serve_metrics(**_: Any) -> None:
    if port := conf.metrics_port():
        prometheus.serve(port)


@receiver(request_started, sender=WSGIHandler)
@receiver(request_started, sender=ASGIHandler)
def report_web(**_: Any) -> None:
    """Report a web server from its first request on; Django's test client has other handlers.

    Not at load time: a server may load the application before it forks, and a thread with a
    database connection does not survive a fork.
    """
    heartbeat.start("web")


@worker_process_init.connect
def report_worker(**_: Any) -> None:
    heartbeat.start("worker" if is_read() else heartbeat.OTHER_WORKER)


@worker_ready.connect
def report_worker_without_children(*, sender: Any, **_: Any) -> None:
    """Report a worker of threads or greenlets; a prefork pool's children report themselves."""
    if not isinstance(sender.pool, ForkingPool):
        report_worker()


@beat_init.connect
def report_beat(**_: Any) -> None:
    heartbeat.start("beat")


@worker_process_shutdown.connect
def publish_what_waits(**_: Any) -> None:
    """Publish the waiting triggers: Celery's children do not run Python's exit functions."""
    publisher.flush_at_exit()


@receiver(post_migrate, sender=apps.get_app_config("rollups"))
def create_declared_namespaces(
    *, using: str, verbosity: int = 1, apps: Any = apps, **_: Any
) -> None:
    """Create the namespaces of counter fields, so that they need only `migrate`, also in tests."""
    if using != DEFAULT_DB_ALIAS:
        return
    for name in registry.create_namespaces(using=using, apps=apps):
        if verbosity >= 1:
            print(f"  Created the namespace {name} for the counters of your models.")  # noqa: T201


@receiver(window_widening)
def refuse_what_was_dropped(*, namespace: Namespace, **_: Any) -> None:
    retention.check_window(namespace)


@receiver(counters_deleting)
def delete_rollups(*, counter_ids: list[int], **_: Any) -> None:
    # Rollups first: a fold that holds one is waited for, and may write new buckets.
    Rollup.objects.filter(counter_id__in=counter_ids).delete()
    Bucket.objects.filter(counter_id__in=counter_ids).delete()
    Failure.objects.filter(counter_id__in=counter_ids).delete()
