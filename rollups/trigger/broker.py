"""Publishing rollup messages on a connection of our own, with hard time-outs.

Kombu's defaults wait for seconds or for ever on a sick broker, Celery's pools are shared
with consumers that must be able to wait, and either may hold a socket that was opened
before a fork. So every trigger, in every role, goes out through this connection.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import current_app
from kombu import Producer
from kombu.utils.uuid import uuid

from rollups import conf
from rollups.trigger.queues import broker_urls, enrol

logger = logging.getLogger(__name__)

TASK = "rollups.rollup"
_LOOK_AFTER_EVERY_SECONDS = 1.0
_HEADERS: dict[str, Any] = {
    "lang": "py",
    "task": TASK,
    "shadow": None,
    "group": None,
    "group_index": None,
    "retries": 0,
    "timelimit": [None, None],
    "parent_id": None,
    "argsrepr": "",
    "kwargsrepr": "",
    "origin": "trigger",
    "ignore_result": True,
    "replaced_task_nesting": 0,
    "stamped_headers": None,
    "stamps": {},
}
_NO_CALLBACKS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


class BrokerBlocked(Exception):
    """RabbitMQ has told its publishers to stop (memory or disk alarm)."""


class BrokerBusy(Exception):
    """Another thread has been publishing for the whole time-out."""


@dataclass(frozen=True, slots=True)
class Message:
    """What the rollup task is sent."""

    counter_ids: list[int]
    expires_seconds: float
    # The worker starts on it after this time.
    countdown_seconds: float | None = None
    options: dict[str, Any] | None = None


class Broker:
    """One process's connection to the broker; opened on first use, dropped on failure."""

    def __init__(self, url: str | None = None) -> None:
        # None: the broker of the settings.
        self._url = url
        self._lock = threading.Lock()
        self._producer: Producer | None = None
        self._looked_after_at = 0.0
        self._queued = 0

    @property
    def queued(self) -> int:
        """How many messages waited for a worker when a message last looked for them."""
        return self._queued

    def publish(self, message: Message) -> None:
        """Send a message without confirmation or retry; raise whatever went wrong.

        Takes a few time-outs at most: waiting for another thread that publishes, then each step
        of connecting, declaring and sending, for each broker of the settings. The look-up of a
        broker's host name has no time-out; the resolver decides.
        """
        if not self._lock.acquire(timeout=conf.trigger_timeout_seconds()):
            raise BrokerBusy("another thread is publishing")
        try:
            producer = self._producer or self._connect()
            _send(producer.channel, message)
            self._look_after(producer)
        except BaseException:
            self._drop()
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _connect(self) -> Producer:
        """Connect to the first broker that answers, in the order of the settings."""
        *first, last = broker_urls(self._url or current_app.conf.broker_write_url)
        for url in first:
            try:
                return self._connect_to(url)
            except Exception as error:
                logger.debug("Trying the next broker after %r", error)
                self._drop()
        return self._connect_to(last)

    def _connect_to(self, url: str) -> Producer:
        connection = current_app.connection_for_write(
            url,
            connect_timeout=conf.trigger_timeout_seconds(),
            transport_options=transport_options(url),
        )
        self._producer = producer = Producer(connection)
        if _is_redis(producer):
            _keep_client(producer)
        # Once a connection: looking whether it was declared costs more than the message.
        channel: Any = producer.channel
        enrol(current_app)(channel).declare()
        return producer

    def _drop(self) -> None:
        """Close the connection without saying goodbye, for which nobody may answer."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        connection: Any = producer.connection
        # py-amqp's collect() closes the socket; its close() waits for an answer.
        hang_up: Callable[[], None] = getattr(
            connection._connection, "collect", connection.release
        )
        with suppress(Exception):
            hang_up()

    def _look_after(self, producer: Producer) -> None:
        """Once a second: see how long the queue is, and that Redis' does not grow for ever.

        RabbitMQ drops the oldest messages of a queue that nobody reads by itself. Kombu
        pushes on the left of a Redis list and pops on the right.
        """
        now = time.monotonic()
        if now - self._looked_after_at < _LOOK_AFTER_EVERY_SECONDS:
            return
        self._looked_after_at = now
        name = conf.queue_name()
        channel: Any = producer.channel
        if _is_redis(producer):
            with channel.conn_or_acquire() as client:
                self._queued = client.llen(name)
                client.ltrim(name, 0, conf.queue_messages() - 1)
        else:
            self._queued = channel.queue_declare(name, passive=True).message_count


def _is_redis(producer: Producer) -> bool:
    connection: Any = producer.connection
    return bool(connection.transport.driver_type == "redis")


def transport_options(url: str) -> dict[str, Any]:
    """Return kombu's options that make every step of a publish end in time."""
    seconds = conf.trigger_timeout_seconds()
    if url.startswith(("amqp", "pyamqp")):
        return {
            "max_retries": 0,
            # Without these py-amqp waits for ever on a broker that went silent.
            "read_timeout": seconds,
            "write_timeout": seconds,
            "on_blocked": _raise_blocked,
        }
    return {
        "max_retries": 0,
        "interval_start": 0,
        "interval_step": 0,
        "interval_max": 0,
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        # It would try every command twice, and take twice the time-out.
        "retry_on_timeout": False,
    }


def _send(channel: Any, message: Message) -> None:
    # A task message (protocol 2) made by hand, and neither apply_async of the task's nor
    # publish of kombu's producer: these cost many times as much, and this is most of what a
    # trigger costs.
    task_id = uuid()
    now = datetime.now(UTC)
    eta = None
    if message.countdown_seconds:
        eta = (now + timedelta(seconds=message.countdown_seconds)).isoformat()
    task_message = channel.prepare_message(
        json.dumps([[message.counter_ids], message.options or {}, _NO_CALLBACKS]),
        0,
        "application/json",
        "utf-8",
        {
            **_HEADERS,
            "id": task_id,
            "root_id": task_id,
            "eta": eta,
            "expires": (now + timedelta(seconds=message.expires_seconds)).isoformat(),
        },
        {
            "delivery_mode": 1,
            # RabbitMQ drops it then; a worker on Redis does when it comes to it.
            "expiration": str(round(message.expires_seconds * 1000)),
            "correlation_id": task_id,
        },
    )
    # The default exchange takes a message straight to the queue of that name.
    channel.basic_publish(task_message, exchange="", routing_key=conf.queue_name())


def _keep_client(producer: Producer) -> None:
    """Let kombu's Redis channel use one client: it builds a new one for each message.

    That is more work than all the rest of a publish. The client takes its connections
    from the channel's pool, as a new one would.
    """
    channel: Any = producer.channel
    client = channel._create_client()
    channel._create_client = lambda asynchronous=False: client


def _raise_blocked(reason: str) -> None:
    raise BrokerBlocked(reason)
