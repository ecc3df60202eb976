"""What the read side does when a write is announced; loaded when the app starts."""

from __future__ import annotations

from typing import Any

from celery import current_app
from celery.signals import celeryd_after_setup, task_prerun, worker_process_shutdown
from django.db import close_old_connections
from django.dispatch import receiver
from kombu.exceptions import OperationalError

from counters.signals import counters_deleting, events_committed
from rollups import conf, publisher, trigger
from rollups.models import Bucket, Failure, Rollup
from rollups.queues import QueueDiffers, declare


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


@celeryd_after_setup.connect
def refuse_another_queue(**_: Any) -> None:
    """Stop a worker at its start with a clear word, not with a traceback of AMQP's."""
    try:
        with current_app.connection_for_read() as connection:
            declare(current_app.amqp.queues[conf.queue_name()], connection)
    except QueueDiffers as error:
        raise SystemExit(str(error)) from error
    except OperationalError:
        return  # the worker itself waits for its broker


@worker_process_shutdown.connect
def publish_what_waits(**_: Any) -> None:
    """Celery's children end without the functions that Python runs at exit."""
    publisher.flush_at_exit()


@receiver(counters_deleting)
def delete_rollups(*, counter_ids: list[int], **_: Any) -> None:
    # Rollups first: a fold that holds one is waited for, and may write new buckets.
    Rollup.objects.filter(counter_id__in=counter_ids).delete()
    Bucket.objects.filter(counter_id__in=counter_ids).delete()
    Failure.objects.filter(counter_id__in=counter_ids).delete()
