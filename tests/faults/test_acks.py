"""A message whose acknowledgement the broker did not hear must not take a place for ever."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from kombu import Connection
from kombu.transport import redis as transport

from rollups import acks
from tests.faults.brokers import OwnValkey
from tests.faults.conftest import QUEUE, empty

pytestmark = [pytest.mark.faults, pytest.mark.own_brokers]

ANY_QOS: Any = transport.QoS


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
    acks.forgive()

    assert takes_another(valkey.url, monkeypatch, way=way)


@pytest.mark.usefixtures("qos_class")
def test_kombu__without_help_never_takes_another(
    valkey: OwnValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What acks.py is for. Where this fails, kombu has learnt it, and the file can go."""
    channel: Any = transport.Channel
    channel.QoS = ANY_QOS

    assert not takes_another(valkey.url, monkeypatch, way="ack_log_error")
