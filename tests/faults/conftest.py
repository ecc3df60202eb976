"""Brokers to break, and a publisher of this process that uses them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from kombu import Connection
from pytest_django import Settings

from rollups.trigger import broker as publishing
from rollups.trigger import publisher
from rollups.trigger.broker import Broker, rollup_queue
from rollups.trigger.publisher import Publisher
from tests.faults.brokers import (
    OwnBroker,
    OwnRabbitMQ,
    OwnValkey,
    Proxy,
    require_rabbitmq,
)
from tests.programs import wait_until

QUEUE = rollup_queue()
# Of the broker itself, and of the way to it.
GROUPS = [
    ("valkey", ["killed", "stopped", "out_of_memory", "read_only"]),
    ("valkey", ["cut", "silent"]),
    ("rabbitmq", ["killed", "stopped", "memory_alarm"]),
    ("rabbitmq", ["cut", "silent"]),
]
OUTAGES = [(kind, outage) for kind, outages in GROUPS for outage in outages]
Outage = AbstractContextManager[None]
Publishing = Callable[[str], AbstractContextManager[Publisher]]


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnValkey]:
    broker = OwnValkey(tmp_path_factory.mktemp("valkey"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRabbitMQ]:
    require_rabbitmq()
    broker = OwnRabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    try:
        broker.start()
        yield broker
    finally:
        broker.end()


@pytest.fixture(params=["valkey", "rabbitmq"])
def own_broker(request: pytest.FixtureRequest) -> OwnBroker:
    """Each kind of broker in turn; its queue is empty."""
    broker: OwnBroker = request.getfixturevalue(request.param)
    empty(broker.url)
    return broker


@pytest.fixture(params=OUTAGES, ids="-".join)
def sick(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, Outage]]:
    """The broker's URL, the outage's name, and the outage itself."""
    kind, outage = request.param
    with breakable(request.getfixturevalue(kind), [outage]) as (url, outages):
        yield url, outage, outages[outage]


@contextmanager
def breakable(
    broker: OwnBroker, names: list[str]
) -> Iterator[tuple[str, dict[str, Outage]]]:
    """Yield a URL of the broker, and the outages of a group."""
    if not {*names} <= {"cut", "silent"}:
        yield broker.url, {name: getattr(broker, name)() for name in names}
        return
    proxy = Proxy(broker.url)
    try:
        # Half of a message's body of this size gets through.
        yield proxy.url, {"cut": proxy.cutting_after(900), "silent": proxy.silent()}
    finally:
        proxy.close()


def empty(url: str) -> None:
    delete_queue(url)
    with Connection(url) as connection:
        queue = QUEUE.bind(connection.default_channel)
        queue.declare()
        # Over Redis, kombu deletes only queues that are bound to an exchange.
        queue.purge()


def delete_queue(url: str) -> None:
    with Connection(url) as connection:
        QUEUE.bind(connection.default_channel).delete()


def messages_in(url: str) -> list[list[int]]:
    """Take the messages from the queue; return the counter ids of each."""
    return [counter_ids for counter_ids, _ in sent_to(url)]


def sent_to(url: str) -> list[tuple[list[int], dict[str, Any]]]:
    """As `messages_in`, with what else the task is sent."""
    found = []
    with Connection(url) as connection:
        queue = QUEUE.bind(connection.default_channel)
        while message := queue.get(no_ack=True):
            [counter_ids], options, _ = message.payload
            found.append((counter_ids, options))
    return found


class WatchedBroker(Broker):
    """Notes which threads get to the broker."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.threads: set[int] = set()

    def publish(self, counter_ids: Sequence[int], **options: Any) -> None:
        self.threads.add(threading.get_ident())
        super().publish(counter_ids, **options)


@pytest.fixture
def publishing_to(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> Callable[[str], AbstractContextManager[Publisher]]:
    """Gives this process a publisher of its own for the broker at the URL."""
    settings.ROLLUPS_TRIGGER_PAUSE_SECONDS = 0.1
    # A healthy broker on a busy machine has the time that it needs.
    settings.ROLLUPS_TRIGGER_TIMEOUT_SECONDS = 2
    monkeypatch.setattr(publishing, "_CHECK_QUEUE_EVERY_SECONDS", 0.0)

    @contextmanager
    def publish(url: str) -> Iterator[Publisher]:
        made = Publisher()
        made.broker = WatchedBroker(url)
        monkeypatch.setattr(publisher, "_publisher", made)
        try:
            yield made
        finally:
            made.flush(10)
            made.broker.close()

    return publish


def settled(made: Publisher) -> bool:
    with made._lock:
        return not made.waiting and not made.counts.publishing


def let_arrive(made: Publisher) -> None:
    """Return when the broker has what was published: it answers in turn."""
    assert made.broker._producer is not None
    channel: Any = made.broker._producer.channel
    channel.queue_declare(queue=QUEUE.name, passive=True)


def adds_up(made: Publisher) -> bool:
    with made._lock:
        counts = made.counts
        lost = counts.failed.total() + counts.dropped.total()
        return counts.requested == (
            counts.coalesced
            + counts.published
            + lost
            + made.waiting
            + counts.publishing
        )


def wait_until_settled(made: Publisher) -> None:
    wait_until(lambda: settled(made), f"triggers still wait: {made.counts}")
