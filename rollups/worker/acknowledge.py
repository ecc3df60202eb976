"""How a worker keeps, on Redis, the triggers that it has taken and not acknowledged yet.

Kombu writes each message that a worker takes into a hash and a sorted set, and takes it out of
both again when it is acknowledged, each time with a new client: a third of what a message costs
a worker's main process, and half of what it costs Redis. It is there so that another worker gets
what a killed one had taken, after an hour. A trigger has expired by then, and the sweep has found
its counters. So triggers are kept in the worker's memory.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis, virtual

from rollups.trigger.broker import TASK
from rollups.worker.consumer import task_of

_RedisQoS: Any = redis.QoS


class WorkerQoS(_RedisQoS):  # type: ignore[misc]
    """Keeps triggers in memory, and other tasks' messages in Redis, as kombu does.

    A worker that ends in an orderly way gives back what it did not begin.

    Frees the place of another message also where the server did not hear that it was taken.
    Celery logs an acknowledgement that failed and goes on. Kombu would count the message as
    being worked on for ever: a worker that takes one at a time then never takes another, and
    nobody notices, for its connection is well again. The server gives such a message out once
    more after an hour.
    """

    def append(self, message: Any, delivery_tag: str) -> None:
        if is_trigger(message):
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        if self._trigger(delivery_tag):
            self._quick_ack(delivery_tag)
            return
        try:
            super().ack(delivery_tag)
        except BaseException:
            self._quick_ack(delivery_tag)
            raise

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        # Before its place is free: the thread that reads then forgets it.
        if trigger := self._trigger(delivery_tag):
            self._quick_ack(delivery_tag)
            if requeue:
                self._give_back(trigger, behind=True)
            return
        try:
            super().reject(delivery_tag, requeue=requeue)
        except BaseException:
            self._quick_ack(delivery_tag)
            raise

    def restore_unacked(self, client: Any = None) -> None:
        """Give back all that was not acknowledged. Raises what the server's client does."""
        self._flush()
        triggers = {tag: one for tag in self._delivered if (one := self._trigger(tag))}
        for tag in triggers:
            del self._delivered[tag]
        for tag, trigger in triggers.items():
            # Another thread may have begun with it meanwhile.
            if tag not in self._dirty:
                self._give_back(trigger, behind=False)
        super().restore_unacked(client)

    def _trigger(self, delivery_tag: str) -> Any:
        """Return what is kept here under this tag; None where it is another's."""
        message = self._delivered.get(delivery_tag)
        return message if message is not None and is_trigger(message) else None

    def _give_back(self, message: Any, *, behind: bool) -> None:
        """Put a message into its queue again: behind those that wait, or before them."""
        at = message.delivery_info
        with self.channel.conn_or_acquire() as client:
            self.channel._do_restore_message(
                message._raw, at["exchange"], at["routing_key"], client, behind
            )


def is_trigger(message: Any) -> bool:
    """Whether it names the rollup task."""
    return task_of(message) == TASK


def install() -> None:
    """Make every Redis channel of this process use it; kombu names its QoS for this."""
    channel: Any = redis.Channel
    channel.QoS = WorkerQoS
