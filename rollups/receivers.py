"""What the read side does when a write is announced; loaded when the app starts."""

from __future__ import annotations

from typing import Any

from celery import current_app
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
from django.db import DEFAULT_DB_ALIAS, close_old_connections
from django.db.models.signals import post_migrate
from django.dispatch import receiver
from kombu.exceptions import OperationalError

from counters.models import Namespace
from counters.signals import counters_deleting, events_committed, window_widening
from rollups import conf, declared, exposition, presence, publisher, retention, trigger
from rollups.models import Bucket, Failure, Rollup
from rollups.queues import QueueDiffers, declare, enrol


@receiver(events_committed)
def fire_trigger(*, counter_ids: frozenset[int], events: int = 0, **_: Any) -> None:
    publisher.get().count_adds(events)
    trigger.request(counter_ids)


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
def enrol_queue(**_: Any) -> None:
    """Make the queue known before a worker chooses its queues, and before beat sends."""
    enrol(current_app)


@celeryd_after_setup.connect
def refuse_another_queue(**_: Any) -> None:
    """Stop a worker at its start with a clear word, not with a traceback of AMQP's."""
    try:
        with current_app.connection_for_read() as connection:
            declare(enrol(current_app), connection)
    except QueueDiffers as error:
        raise SystemExit(str(error)) from error
    except OperationalError:
        return  # the worker itself waits for its broker


@worker_ready.connect
def serve_metrics(**_: Any) -> None:
    if port := conf.metrics_port():
        exposition.serve(port)


@worker_process_init.connect
def report_worker(**_: Any) -> None:
    presence.start("worker")


@beat_init.connect
def report_beat(**_: Any) -> None:
    presence.start("beat")


@worker_process_shutdown.connect
def publish_what_waits(**_: Any) -> None:
    """Celery's children end without the functions that Python runs at exit."""
    publisher.flush_at_exit()


@receiver(post_migrate, sender=apps.get_app_config("rollups"))
def create_declared_namespaces(
    *, using: str, verbosity: int = 1, apps: Any = apps, **_: Any
) -> None:
    """So that a counter in a model needs nothing but `migrate`, in tests as well."""
    if using != DEFAULT_DB_ALIAS:
        return
    for name in declared.create_namespaces(using=using, apps=apps):
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
