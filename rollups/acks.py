"""Acknowledging to Redis, without losing a worker's place for a message to a silent server."""

from __future__ import annotations

from typing import Any

from kombu.transport import redis

_QoS: Any = redis.QoS


class ForgivingQoS(_QoS):  # type: ignore[misc]
    """Frees the place of a message also where the server did not hear that it was taken.

    Celery logs an acknowledgement that failed and goes on. Kombu would count the message as
    being worked on for ever: a worker that takes one at a time then never takes another, and
    nobody notices, for its connection is well again. The server gives such a message out once
    more after an hour, when it has long expired.
    """

    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)
        except BaseException:
            self._quick_ack(delivery_tag)
            raise

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        try:
            super().reject(delivery_tag, requeue=requeue)
        except BaseException:
            self._quick_ack(delivery_tag)
            raise


def forgive() -> None:
    """Make every Redis channel of this process use it; kombu names its QoS for this."""
    channel: Any = redis.Channel
    channel.QoS = ForgivingQoS
