"""Celery's consumer, which lives on after a message of a wrong shape or a lost broker.

Celery lets some messages end the worker, and gives them back to the queue as it dies: the
next worker dies of the same one. Others leave a slot of the pool taken for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer
from kombu.exceptions import ContentDisallowed, DecodeError

from rollups import acks

logger = logging.getLogger(__name__)


class GuardedConsumer(Consumer):
    """Named in CELERY_WORKER_CONSUMER."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        acks.forgive()
        super().__init__(*args, **kwargs)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        handle = super().create_task_handler(*args, **kwargs)
        # Missing in the stubs.
        connection_errors: Any = getattr(self, "connection_errors")  # noqa: B009

        def on_task_received(message: Any) -> Any:
            if wrong := what_is_wrong(message):
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
