"""How a worker keeps, on Redis, what it has taken and not acknowledged yet.

Kombu writes each message that a worker takes into a hash and a sorted set, and takes it out of
both again when it is acknowledged, each time with a new client: half of what a message costs a
worker's main process, and of what it costs Redis. It is there so that another worker gets what
a killed one had taken, after an hour. A trigger has expired by then, and the sweep has found
its counters. So ours are kept in the worker's memory.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis, virtual

from rollups.guarded_consumer import names_our_task

_RedisQoS: Any = redis.QoS


class WorkerQoS(_RedisQoS):  # type: ignore[misc]
    """Keeps our messages in memory, and other tasks' in Redis, as kombu does.

    A worker that ends in an orderly way gives back what it did not begin.

    Frees the place of another task's message also where the server did not hear that it was
    taken. Celery logs an acknowledgement that failed and goes on. Kombu would count the
    message as being worked on for ever: a worker that takes one at a time then never takes
    another, and nobody notices, for its connection is well again. The server gives such a
    message out once more after an hour.
    """

    def append(self, message: Any, delivery_tag: str) -> None:
        if names_our_task(message):
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        if self._is_kept_here(delivery_tag):
            self._quick_ack(delivery_tag)
            return
        try:
            super().ack(delivery_tag)
        except BaseException:
            self._quick_ack(delivery_tag)
            raise

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if self._is_kept_here(delivery_tag):
            self._quick_ack(delivery_tag)
            if requeue:
                self._give_back(self._delivered[delivery_tag])
            return
        try:
            super().reject(delivery_tag, requeue=requeue)
        except BaseException:
            self._quick_ack(delivery_tag)
            raise

    def restore_unacked(self, client: Any = None) -> None:
        """Give back all that was not acknowledged. Raises what the server's client does."""
        ours = [one for one in self._delivered.values() if names_our_task(one)]
        # Of ours it finds nothing in Redis.
        super().restore_unacked(client)
        for message in ours:
            self._give_back(message)

    def _is_kept_here(self, delivery_tag: str) -> bool:
        message = self._delivered.get(delivery_tag)
        return message is not None and names_our_task(message)

    def _give_back(self, message: Any) -> None:
        """Put a message into its queue again, from memory."""
        virtual.Channel._restore(self.channel, message)


def install() -> None:
    """Make every Redis channel of this process use it; kombu names its QoS for this."""
    channel: Any = redis.Channel
    channel.QoS = WorkerQoS
