"""Celery's consumer, which survives a malformed message and a lost broker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer

logger = logging.getLogger(__name__)


class GuardedConsumer(Consumer):
    """Named in CELERY_WORKER_CONSUMER."""

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        """Drop a message that Celery cannot handle.

        Celery lets it end the worker, and gives it back to the queue: the next worker dies of
        the same one.
        """
        handle = super().create_task_handler(*args, **kwargs)
        # Missing in the stubs.
        connection_errors: Any = getattr(self, "connection_errors")  # noqa: B009

        def on_task_received(message: Any) -> Any:
            try:
                check_time_limits(message)
                return handle(message)
            except connection_errors:
                raise
            except Exception as error:
                # Without the message itself: it may hold anything.
                logger.error("Dropped a message of a wrong shape: %r", error)
                if not message.acknowledged:
                    message.reject_log_error(logger, connection_errors)

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


def check_time_limits(message: Any) -> None:
    """Raise unless the time limits are two numbers or missing.

    Celery notices only when the message has taken a slot of the pool, and never frees it.
    """
    hard, soft = message.headers.get("timelimit") or (None, None)
    for limit in (hard, soft):
        abs(limit or 0)
