"""What a worker has taken from Redis: triggers in its memory, other tasks' in Redis.

A message whose acknowledgement the broker did not hear must not take a place for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from kombu import Connection
from kombu.transport import redis as transport

from rollups.worker import acknowledge
from tests.faults.brokers import OwnValkey
from tests.faults.conftest import QUEUE, empty

pytestmark = [pytest.mark.faults, pytest.mark.own_brokers]

ANY_QOS: Any = transport.QoS
either_task = pytest.mark.parametrize("task", ["rollups.rollup", "shop.ship"])


@pytest.fixture
def qos_class() -> Iterator[None]:
    channel: Any = transport.Channel
    before = channel.QoS
    yield
    channel.QoS = before


def takes_another(url: str, monkeypatch: pytest.MonkeyPatch, *, way: str) -> bool:
    """Take a message, fail to settle it, and say whether the next one would be taken."""

    def time_out(*_: Any) -> Any:
        raise redis.TimeoutError("Timeout reading from socket")

    empty(url)
    with Connection(url) as connection:
        channel: Any = connection.channel()
        channel.basic_qos(0, 1, False)
        queue = QUEUE.bind(channel)
        connection.Producer(channel).publish([[1]], routing_key="rollups")
        message: Any = queue.get()
        assert not channel.qos.can_consume()
        monkeypatch.setattr(ANY_QOS, "_remove_from_indices", time_out)

        getattr(message, way)(logging.getLogger("test"), connection.connection_errors)

        monkeypatch.undo()
        return bool(channel.qos.can_consume())


@pytest.mark.parametrize("way", ["ack_log_error", "reject_log_error"])
@pytest.mark.usefixtures("qos_class")
def test_worker__takes_another_after_an_acknowledgement_timed_out(
    valkey: OwnValkey, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    acknowledge.install()

    assert takes_another(valkey.url, monkeypatch, way=way)


@pytest.mark.usefixtures("qos_class")
def test_kombu__without_help_never_takes_another(
    valkey: OwnValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What acks.py is for. Where this fails, kombu has learnt it, and the file can go."""
    channel: Any = transport.Channel
    channel.QoS = ANY_QOS

    assert not takes_another(valkey.url, monkeypatch, way="ack_log_error")


@pytest.fixture
def taken(
    valkey: OwnValkey, client: Any, qos_class: None
) -> Iterator[Callable[[str], Any]]:
    """Publish a message of a task, and take it as a worker with one place does."""
    acknowledge.install()
    client.flushdb()
    with Connection(valkey.url) as connection:
        channel: Any = connection.channel()
        channel.basic_qos(0, 1, False)

        def taken(task: str) -> Any:
            headers = {"task": task, "id": "1"}
            connection.Producer(channel).publish(
                [[1]], routing_key=QUEUE.name, headers=headers
            )
            message = QUEUE.bind(channel).get()
            assert message is not None
            assert not channel.qos.can_consume()
            return message

        yield taken


@pytest.fixture
def client(valkey: OwnValkey) -> Iterator[Any]:
    with redis.Redis.from_url(valkey.url) as client:
        yield client


def test_worker__keeps_a_trigger_in_memory_and_another_task_in_redis(
    taken: Callable[[str], Any], client: Any
) -> None:
    for task, known in (
        ("rollups.rollup", []),
        ("rollups.reindex_partitions", ["unacked", "unacked_index"]),
        ("shop.ship", ["unacked", "unacked_index"]),
    ):
        message = taken(task)

        assert sorted(key.decode() for key in client.keys("unacked*")) == known
        message.ack()
        assert message.channel.qos.can_consume()
        assert client.keys("unacked*") == []


def test_worker__that_acknowledged_a_trigger_gives_nothing_back(
    taken: Callable[[str], Any], client: Any
) -> None:
    message = taken("rollups.rollup")

    message.ack()
    message.channel.close()

    assert client.llen(QUEUE.name) == 0


@either_task
def test_worker__that_ends_gives_back_what_it_did_not_begin(
    taken: Callable[[str], Any], valkey: OwnValkey, client: Any, task: str
) -> None:
    message = taken(task)

    message.channel.close()

    assert client.llen(QUEUE.name) == 1
    with Connection(valkey.url) as connection:
        again: Any = QUEUE.bind(connection.channel()).get()
        assert again.payload == message.payload == [[1]]
        assert again.headers["task"] == task
        again.ack()


@either_task
def test_worker__puts_back_what_it_rejects_for_later(
    taken: Callable[[str], Any], client: Any, task: str
) -> None:
    message = taken(task)

    message.requeue()

    assert client.llen(QUEUE.name) == 1
    assert message.channel.qos.can_consume()


@either_task
def test_worker__drops_what_it_rejects(
    taken: Callable[[str], Any], client: Any, task: str
) -> None:
    message = taken(task)

    message.reject()

    assert client.llen(QUEUE.name) == 0
    assert client.keys("unacked*") == []
    assert message.channel.qos.can_consume()


def test_worker__gives_back_to_the_front_and_puts_back_behind(
    valkey: OwnValkey, client: Any, qos_class: None
) -> None:
    acknowledge.install()
    client.flushdb()
    headers = {"task": "rollups.rollup", "id": "1"}
    with Connection(valkey.url) as connection:
        channel: Any = connection.channel()
        queue, producer = QUEUE.bind(channel), connection.Producer(channel)
        for number in (1, 2, 3):
            producer.publish([[number]], routing_key=QUEUE.name, headers=headers)
        first, second = queue.get(), queue.get()
        assert first is not None

        first.requeue()
        channel.close()

    assert second is not None
    with Connection(valkey.url) as connection:
        queue = QUEUE.bind(connection.channel())
        found = [message.payload for _ in range(3) if (message := queue.get())]
        assert found == [[[2]], [[3]], [[1]]]
