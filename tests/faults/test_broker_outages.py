"""A broker that is sick in every way: no add fails, none waits, and it heals by itself.

Timings decide nothing here: that writers do not wait for the broker is shown by who gets
to it. `make bench ARGS='--only trigger_faults'` measures.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

import psutil
import pytest
from kombu import Connection
from pytest_django import Settings

from counters import events
from counters.models import Event, LastWrite, Namespace
from rollups.folding.drain import drain
from rollups.models import Rollup
from rollups.trigger import broker as publishing
from rollups.trigger.broker import rollup_queue
from rollups.trigger.publisher import Publisher
from tests.faults.brokers import OwnBroker, OwnRabbitMQ, OwnValkey
from tests.faults.conftest import (
    Publishing,
    WatchedBroker,
    adds_up,
    delete_queue,
    empty,
    let_arrive,
    messages_in,
    settled,
    wait_until_settled,
)
from tests.programs import wait_until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.own_brokers,
    pytest.mark.django_db(transaction=True),
]

COUNTERS, ADDS = 40, 400


def add(counters: int = COUNTERS, adds: int = ADDS) -> None:
    for number in range(adds):
        events.add(namespace="test", name=f"c{number % counters}")


def noticed(made: Publisher) -> bool:
    """Whether the broker's trouble has been noticed; adds until it is."""
    add(adds=1)
    return bool(made.counts.failed)


def published_again(made: Publisher) -> bool:
    """Whether a trigger gets through; asked until one does."""
    before = made.counts.published
    events.add(namespace="test", name="after")
    wait_until(lambda: settled(made) or made.breaker.is_open, "the publisher hangs")
    return made.counts.published > before and settled(made)


def fold_and_compare() -> None:
    """Every add that was acknowledged is counted, once its counter is folded."""
    list(drain())
    totals = Rollup.objects.values_list("total", flat=True)
    assert sum(int(total) for total in totals) == Event.objects.count()
    assert not LastWrite.objects.exists()


def test_outage__fails_no_add_holds_up_no_writer_and_heals(
    committed_namespace: Namespace,
    sick: tuple[str, str, AbstractContextManager[None]],
    publishing_to: Publishing,
) -> None:
    url, _, outage = sick
    with publishing_to(url) as made:
        add()
        wait_until(lambda: made.counts.published, "nothing was published when healthy")
        wait_until_settled(made)
        assert not made.counts.failed

        with outage:
            add()
            # Not all of them at once: an outage begins between two messages.
            wait_until(lambda: noticed(made), "no failure was noticed")
            add()

        wait_until(lambda: published_again(made), f"it did not heal: {made.counts}")
        wait_until_settled(made)
        assert isinstance(made.broker, WatchedBroker)
        assert threading.get_ident() not in made.broker.threads
        assert adds_up(made)
        assert made.counts.dropped == {}
    fold_and_compare()


def test_outage__inline_fails_no_add_and_asks_the_broker_once_a_pause(
    committed_namespace: Namespace,
    sick: tuple[str, str, AbstractContextManager[None]],
    publishing_to: Publishing,
    settings: Settings,
) -> None:
    url, name, outage = sick
    if (url[:4], name) == ("amqp", "killed") and "LONG_TESTS" not in os.environ:
        pytest.skip("RabbitMQ takes its time to start again")
    settings.ROLLUPS_TRIGGER = "inline"
    with publishing_to(url) as made:
        add(adds=10)
        assert made.counts.published == 10

        with outage:
            settings.ROLLUPS_TRIGGER_PAUSE_SECONDS = 600
            wait_until(lambda: noticed(made), "no failure was noticed")
            failed = made.counts.failed.total()
            add()
            assert made.counts.failed.total() == failed == 1
            assert made.counts.dropped["breaker"] == ADDS
            add(adds=10)
        made.breaker.reset()
        settings.ROLLUPS_TRIGGER_PAUSE_SECONDS = 0.1

        wait_until(lambda: published_again(made), f"it did not heal: {made.counts}")
        assert made.counts.coalesced == 0
        assert adds_up(made)
    fold_and_compare()


@pytest.mark.parametrize("mode", ["background", "inline"])
@pytest.mark.parametrize("kind", ["redis", "amqp"])
def test_broker__whose_name_is_unknown_fails_no_add(
    committed_namespace: Namespace,
    publishing_to: Publishing,
    settings: Settings,
    kind: str,
    mode: str,
) -> None:
    settings.ROLLUPS_TRIGGER = mode
    with publishing_to(f"{kind}://broker.invalid") as made:
        add(adds=20)

        wait_until(lambda: made.counts.failed, "no failure was noticed")
        assert made.counts.published == 0
        assert adds_up(made)
    assert adds_up(made)
    fold_and_compare()


def test_outage__leaves_no_more_than_the_bound_in_memory(
    committed_namespace: Namespace,
    own_broker: OwnBroker,
    publishing_to: Publishing,
    settings: Settings,
) -> None:
    settings.ROLLUPS_TRIGGER_WAITING_COUNTERS = 100
    # One try: with more, a slow machine would lose more to failures than to the bound.
    settings.ROLLUPS_TRIGGER_PAUSE_SECONDS = 600
    names = [events.NewEvent("test", f"many {i}") for i in range(400)]
    with publishing_to(_nobody(own_broker.url)) as made:
        for _ in range(3):
            for start in range(0, 400, 50):
                events.add_many(names[start : start + 50])
                assert made.waiting <= 100
        assert made.counts.dropped["overflow"] >= 400
        assert adds_up(made)
    fold_and_compare()


def _nobody(url: str) -> str:
    """The same broker at a port where nobody listens."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace(f":{parts.port}", ":1")).geturl()


def test_memory_alarm__is_noticed_by_what_rabbitmq_says(
    committed_namespace: Namespace, rabbitmq: OwnRabbitMQ, publishing_to: Publishing
) -> None:
    """And not only by the socket's buffers, which take minutes to fill."""
    empty(rabbitmq.url)
    with publishing_to(rabbitmq.url) as made, rabbitmq.memory_alarm():
        wait_until(lambda: noticed(made), "no failure was noticed")

    assert "BrokerBlocked" in made.counts.failed


def test_out_of_memory__is_named_so(
    committed_namespace: Namespace, valkey: OwnValkey, publishing_to: Publishing
) -> None:
    with publishing_to(valkey.url) as made, valkey.out_of_memory():
        wait_until(lambda: noticed(made), "no failure was noticed")

    assert set(made.counts.failed) == {"OutOfMemoryError"}


def test_queue__takes_no_message_beyond_its_bound(
    committed_namespace: Namespace,
    own_broker: OwnBroker,
    publishing_to: Publishing,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody reads it; the adds succeed, and the sweep finds the counters."""
    settings.ROLLUPS_TRIGGER = "inline"
    monkeypatch.setattr(publishing, "QUEUE_MESSAGES", 5)
    ids: list[int | None] = []
    with publishing_to(own_broker.url) as made:
        for number in range(12):
            made.breaker.reset()
            recorded = events.add(namespace="test", name=f"c{number}")
            ids.append(recorded.counter_id)
            if made.broker._producer is not None:
                let_arrive(made)

    assert made.counts.messages == 5
    assert made.counts.failed == {"QueueFull": 7}
    assert messages_in(own_broker.url) == [[one] for one in ids[:5]]


def test_queue__with_other_arguments_fails_no_add(
    committed_namespace: Namespace,
    rabbitmq: OwnBroker,
    publishing_to: Publishing,
) -> None:
    delete_queue(rabbitmq.url)
    other = rollup_queue()
    other.queue_arguments = {"x-max-length": 77}
    with Connection(rabbitmq.url) as connection:
        other.bind(connection.default_channel).declare()

    with publishing_to(rabbitmq.url) as made:
        add(adds=20)
        wait_until(lambda: made.counts.failed, "no failure was noticed")

    assert set(made.counts.failed) == {"PreconditionFailed"}
    delete_queue(rabbitmq.url)


@pytest.mark.slow
@pytest.mark.skipif("LONG_TESTS" not in os.environ, reason="a minute for each outage")
@pytest.mark.timeout(300)
def test_outage__of_a_minute_under_load_leaves_memory_flat(
    committed_namespace: Namespace,
    sick: tuple[str, str, AbstractContextManager[None]],
    publishing_to: Publishing,
) -> None:
    url, _, outage = sick
    process = psutil.Process()
    with publishing_to(url) as made:
        add()
        with outage:
            add(counters=2_000, adds=4_000)
            threads, memory = process.num_threads(), process.memory_info().rss
            until = time.monotonic() + 60
            while time.monotonic() < until:
                add(counters=2_000, adds=200)
            grown = process.memory_info().rss - memory
            assert process.num_threads() <= threads + 2
        wait_until(lambda: published_again(made), f"it did not heal: {made.counts}")
        wait_until_settled(made)
        assert adds_up(made)
    assert grown < 20_000_000, f"{grown:,} bytes"
    fold_and_compare()
