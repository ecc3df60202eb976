"""Celery's consumer, kept alive after a malformed message or a lost broker.

Celery lets some messages end the worker, and gives them back to the queue as it dies: the
next worker dies of the same one. Others leave a slot of the pool taken without end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer

from rollups import conf

logger = logging.getLogger(__name__)


class GuardedConsumer(Consumer):
    """Named in CELERY_WORKER_CONSUMER.

    In a project with other tasks it checks only the messages that are meant for ours.
    """

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        handle = super().create_task_handler(*args, **kwargs)
        # Missing in the stubs.
        connection_errors: Any = getattr(self, "connection_errors")  # noqa: B009

        queue = conf.queue_name()
        # If the worker reads no other queue, every message is for us, whatever it says.
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
        """Clean up, however badly that goes: Celery reconnects after this.

        Kombu gives back to Redis what is not acknowledged as it closes a connection. If the
        server is gone, this fails in a way that would end the worker. What is lost are
        triggers, and the sweep finds their counters.
        """
        try:
            super().on_connection_error_after_connected(exc)
        except Exception as error:
            logger.warning("The lost connection was not closed well: %r", error)


def is_for_us(message: Any, queue: str) -> bool:
    """Tell whether a message came through our queue, or names one of our tasks."""
    delivery, headers = message.delivery_info, message.headers
    routed = delivery.get("routing_key") if isinstance(delivery, dict) else None
    task = headers.get("task") if isinstance(headers, dict) else None
    return routed == queue or (isinstance(task, str) and task.startswith("rollups."))


def what_is_wrong(message: Any) -> str | None:
    """Return what in a message would end a worker, or take one of its slots."""
    headers = message.headers if isinstance(message.headers, dict) else {}
    for name in ("task", "id"):
        if not isinstance(headers.get(name), str):
            return f"its {name} is not text"
    match headers.get("timelimit"):
        case None | [(None | int() | float()), (None | int() | float())]:
            pass
        case _:
            return "its time limits are not two numbers"
    try:
        match message.payload:
            case [list(), dict(), dict()]:
                return None
            case _:
                return "its body is not arguments, options and callbacks"
    except Exception:
        # Celery itself drops and logs what it cannot read.
        return None
