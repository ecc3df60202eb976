"""Celery's consumer, which lives on after a message of a wrong shape or a lost broker.

Celery lets some messages end the worker, and gives them back to the queue as it dies: the
next worker dies of the same one. Others leave a slot of the pool taken for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from celery.worker.consumer import Consumer
from kombu.exceptions import ContentDisallowed, DecodeError

from rollups import conf

logger = logging.getLogger(__name__)


class GuardedConsumer(Consumer):
    """Named in CELERY_WORKER_CONSUMER.

    In a project that has other tasks too it judges those messages only that are meant for
    ours: what else goes by, chains and pickles among it, is Celery's affair.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Without the client there is no Redis, and kombu's module is broken.
        if find_spec("redis"):
            import_module("rollups.worker.acknowledge").install()
        super().__init__(*args, **kwargs)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        handle = super().create_task_handler(*args, **kwargs)
        # Missing in the stubs.
        connection_errors: Any = getattr(self, "connection_errors")  # noqa: B009

        queue = conf.queue_name()
        # Where nothing else is read, nothing else is expected, whatever it says of itself.
        only_ours = set(self.app.amqp.queues.consume_from) == {queue}

        def on_task_received(message: Any) -> Any:
            ours = only_ours or is_for_us(message, queue)
            if ours and (wrong := what_is_wrong(message)):
                # Without the message itself: it may hold anything.
                logger.error("Dropped a message of a wrong shape: %s.", wrong)
                message.reject_log_error(logger, connection_errors)
                return None
            return handle(message)

        return on_task_received

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Clean up, however badly that goes: Celery connects anew after this.

        Over Redis, kombu gives back what is not acknowledged as it closes a connection.
        Where the server is gone it fails to, in a way that would end the worker. What is
        lost are triggers, and the sweep finds what they were for.
        """
        try:
            super().on_connection_error_after_connected(exc)
        except Exception as error:
            logger.warning("The lost connection was not closed well: %r", error)


def is_for_us(message: Any, queue: str) -> bool:
    """Whether it came through our queue, or names one of our tasks."""
    delivery, task = message.delivery_info, task_of(message)
    routed = delivery.get("routing_key") if isinstance(delivery, dict) else None
    return routed == queue or (isinstance(task, str) and task.startswith("rollups."))


def task_of(message: Any) -> object:
    """Return the task that a message names: what a worker reads may be anything."""
    headers = message.headers
    return headers.get("task") if isinstance(headers, dict) else None


def what_is_wrong(message: Any) -> str | None:
    """Return what of a message is not as our publishers and beat make it."""
    headers = message.headers
    if not isinstance(headers, dict):
        return "it has no headers"
    for name in ("task", "id"):
        if not isinstance(headers.get(name), str):
            return f"its {name} is not text"
    if not _are_limits(headers.get("timelimit")):
        return "its time limits are not two numbers"
    try:
        match message.payload:
            case [list(), dict(), dict(embedded)]:
                # We chain no tasks, so whoever does is somebody else.
                return "it has callbacks" if any(embedded.values()) else None
            case _:
                return "its body is not arguments, options and callbacks"
    except (ContentDisallowed, DecodeError):
        # Celery drops what is no JSON by itself, and says so.
        return None
    except (TypeError, ValueError, LookupError, RecursionError) as error:
        return f"its body cannot be read ({type(error).__name__})"


def _are_limits(value: object) -> bool:
    match value:
        case None | [(None | int() | float()), (None | int() | float())]:
            return True
    return False
