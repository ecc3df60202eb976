"""Publish rollup messages on a connection of our own, with hard time-outs.

Kombu's defaults wait for seconds or without end on a sick broker, Celery's pools are shared
with consumers that must be able to wait, and either may hold a socket that was opened before
a fork. So every process publishes every trigger on this connection.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from celery import current_app
from kombu import Exchange, Producer, Queue

from rollups import conf

TASK = "rollups.rollup"
# A message that waited longer is dropped: the sweep has sent a newer one by then.
EXPIRES_SECONDS = 60.0
# The most messages that wait, of 5 kB at most each. Redis keeps expired messages until a
# worker takes them, so without a bound a queue that no worker reads would fill it.
QUEUE_MESSAGES = 10_000
_CHECK_QUEUE_EVERY_SECONDS = 1.0


class BrokerBlocked(Exception):
    """RabbitMQ has told its publishers to stop (memory or disk alarm)."""


class BrokerBusy(Exception):
    """Not tried. Its text is the reason: busy (with another thread's message), breaker."""


class QueueFull(Exception):
    """QUEUE_MESSAGES messages wait in the queue."""


class Broker:
    """One process's connection to the broker: opened on first use, closed on failure."""

    def __init__(self, url: str | None = None) -> None:
        # None: the broker of the settings.
        self._url = url
        self._lock = threading.Lock()
        self._producer: Producer | None = None
        self._queue_checked_at = 0.0

    def publish(
        self,
        counter_ids: Sequence[int],
        *,
        expires_seconds: float | None = None,
        countdown_seconds: float | None = None,
        **options: object,
    ) -> None:
        """Send one message without confirmation or retry; raise any error.

        Takes a few time-outs at most: waiting for another thread that publishes, then connecting,
        declaring and sending. Looking up a broker's host name has no time-out.
        """
        if not self._lock.acquire(timeout=conf.trigger_timeout_seconds()):
            raise BrokerBusy("busy")
        try:
            producer = self._producer or self._connect()
            self._check_queue(producer)
            # The stubs lack what goes into the message as it is.
            rollup: Any = current_app.tasks[TASK]
            rollup.apply_async(
                args=[list(counter_ids)],
                kwargs=options,
                ignore_result=True,
                retry=False,
                expires=expires_seconds or EXPIRES_SECONDS,
                countdown=countdown_seconds,
                producer=producer,
                queue=conf.queue_name(),
                # `_check_queue` declares. Kombu would look it up for each message.
                declare=[],
                delivery_mode="transient",
                serializer="json",
                # Otherwise a part of the ids goes into the message a second time.
                argsrepr="",
            )
        except BaseException:
            self.close()
            raise
        finally:
            self._lock.release()

    def _connect(self) -> Producer:
        url = self._url or current_app.conf.broker_write_url
        connection = current_app.connection_for_write(
            url,
            connect_timeout=conf.trigger_timeout_seconds(),
            transport_options=_transport_options(brokers=len(broker_urls(url))),
        )
        self._queue_checked_at = 0.0
        self._producer = Producer(connection)
        return self._producer

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        connection: Any = producer.connection
        # release() would wait for a broker that may not answer. Redis needs no default time-out
        # for this, so keep the process's own.
        with suppress(Exception):
            connection.collect(socket.getdefaulttimeout())

    def _check_queue(self, producer: Producer) -> None:
        """Declare the queue, on a new connection and once a second; raise QueueFull.

        The answer also shows that RabbitMQ still reads what it is sent.
        """
        now = time.monotonic()
        if now - self._queue_checked_at < _CHECK_QUEUE_EVERY_SECONDS:
            return
        channel: Any = producer.channel
        queue: Any = add_queue().bind(channel)
        waiting = queue.queue_declare().message_count
        self._queue_checked_at = now
        if waiting >= QUEUE_MESSAGES:
            raise QueueFull(f"{waiting:,} messages wait in {queue.name!r}")


def _transport_options(*, brokers: int) -> dict[str, Any]:
    """Return kombu's options that end every step of a publish in time.

    Each transport reads its own and ignores the others.
    """
    seconds = conf.trigger_timeout_seconds()
    return {
        # One attempt at each broker of the settings.
        "max_retries": brokers - 1,
        "interval_start": 0,
        "interval_step": 0,
        "interval_max": 0,
        # py-amqp waits without end for a silent broker unless these are set.
        "read_timeout": seconds,
        "write_timeout": seconds,
        "on_blocked": _raise_blocked,
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        # It would try every command twice, and take twice the time-out.
        "retry_on_timeout": False,
    }


def _raise_blocked(reason: str) -> None:
    raise BrokerBlocked(reason)


def rollup_queue(name: str = "rollups") -> Queue:
    """Return a queue that survives a restart of the broker; its messages do not.

    Durable, because RabbitMQ 4.3 refuses transient queues. Classic, because a quorum queue
    would write disposable messages to disk.
    """
    return Queue(
        name,
        # The default exchange: there is nothing to declare or bind.
        exchange=Exchange("", type="direct"),
        routing_key=name,
        durable=True,
        queue_arguments={"x-queue-type": "classic"},
    )


def broker_urls(setting: object) -> list[str]:
    """Return the URLs of a broker setting: a list, or text separated by `;`."""
    if isinstance(setting, (list, tuple)):
        return [str(url) for url in setting]
    return [url for url in str(setting or "").split(";") if url]


def is_read() -> bool:
    """Tell whether this worker reads the queue of rollup messages (-Q and -X decide)."""
    return conf.queue_name() in current_app.amqp.queues.consume_from


def add_queue() -> Queue:
    """Return Celery's queue of rollup messages; add ours if the settings name none.

    So a worker without -Q reads it as well as the project's own queues.
    """
    queues = current_app.amqp.queues
    name = conf.queue_name()
    if name not in queues:
        queues.select_add(rollup_queue(name))
    found: Queue = queues[name]
    return found
