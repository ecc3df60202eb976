"""From a request to a message: bounded, coalesced, counted, and off the writer's thread."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from celery.signals import before_task_publish
from pytest_django import Settings

from rollups.trigger import broker as publishing
from rollups.trigger import publisher, request
from rollups.trigger.broker import BrokerBusy
from rollups.trigger.publisher import MESSAGE_COUNTERS, Counts, Publisher
from tests.programs import purge, wait_until


class FakeBroker:
    """Takes messages, or fails, or does not answer until it is told to."""

    def __init__(self) -> None:
        self.messages: list[list[int]] = []
        self.threads: set[str] = set()
        self.fails: Callable[[], Exception | None] = lambda: None
        self.answers = threading.Event()
        self.answers.set()
        self.asked = threading.Event()

    def publish(self, counter_ids: Sequence[int]) -> None:
        self.threads.add(threading.current_thread().name)
        self.asked.set()
        assert self.answers.wait(30)
        if error := self.fails():
            raise error
        self.messages.append(list(counter_ids))

    @property
    def ids(self) -> list[int]:
        return [one for message in self.messages for one in message]


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def made(
    broker: FakeBroker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Publisher]:
    """A publisher with a fake broker, ended after the test."""
    monkeypatch.setattr(publisher, "GATHER_SECONDS", 0.001)
    settings.ROLLUPS_TRIGGER_PAUSE_SECONDS = 0.02
    made = Publisher()
    made.broker = broker  # type: ignore[assignment]
    yield made
    broker.answers.set()
    made.flush(5)


def settled(made: Publisher) -> bool:
    with made._lock:
        return not made.waiting and not made.counts.publishing


def adds_up(made: Publisher) -> bool:
    with made._lock:
        counts = made.counts
        seen = made.waiting + counts.publishing + sum(outcomes(counts))
        return counts.requested == seen


def outcomes(counts: Counts) -> tuple[int, int, int, int]:
    return (
        counts.coalesced,
        counts.published,
        counts.failed.total(),
        counts.dropped.total(),
    )


def test_put__is_published_in_the_background(
    made: Publisher, broker: FakeBroker
) -> None:
    assert made.put([3, 1, 2]) == 3

    wait_until(lambda: settled(made), "nothing was published")
    assert sorted(broker.ids) == [1, 2, 3]
    assert broker.threads == {"trigger"}
    assert outcomes(made.counts) == (0, 3, 0, 0)


def test_put__returns_while_the_broker_does_not_answer(
    made: Publisher, broker: FakeBroker
) -> None:
    broker.answers.clear()
    made.put([1])
    assert broker.asked.wait(10)

    for counter_id in range(2, 1000):
        made.put([counter_id])

    assert made.waiting == 998
    assert adds_up(made)
    broker.answers.set()
    wait_until(lambda: settled(made), "what waited was not published")
    assert sorted(broker.ids) == list(range(1, 1000))


def test_put__opens_no_socket_in_the_calling_thread(
    made: Publisher, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """With the real broker class: only the publisher's thread may get to it."""
    settings.ROLLUPS_TRIGGER_TIMEOUT_SECONDS = 5
    made.broker = publishing.Broker()
    caller = threading.current_thread()
    original = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        assert threading.current_thread() is not caller, "a writer's thread connects"
        original(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)

    made.put([1])

    wait_until(lambda: settled(made), "nothing was published")
    assert made.counts.published == 1


def test_put__coalesces_what_waits_already(made: Publisher, broker: FakeBroker) -> None:
    broker.answers.clear()
    made.put([0])
    assert broker.asked.wait(10)

    for _ in range(100):
        made.put([7, 8])

    assert made.waiting == 2
    assert made.counts.coalesced == 198
    broker.answers.set()
    wait_until(lambda: settled(made), "what waited was not published")
    assert [sorted(message) for message in broker.messages] == [[0], [7, 8]]


def test_put__drops_what_is_beyond_the_bound(
    broker: FakeBroker, settings: Settings
) -> None:
    settings.ROLLUPS_TRIGGER_WAITING_COUNTERS = 10
    made = Publisher()
    made.broker = broker  # type: ignore[assignment]
    broker.answers.clear()
    made.put([0])
    assert broker.asked.wait(10)

    assert made.put(range(1, 9)) == 8
    assert made.put(range(5, 15)) == 6  # four wait already, two more fit, four do not
    assert made.put([99]) == 0

    assert made.waiting == 10
    assert made.counts.dropped == {"overflow": 5}
    assert adds_up(made)
    broker.answers.set()
    made.flush(5)


def test_messages__are_bounded(made: Publisher, broker: FakeBroker) -> None:
    broker.answers.clear()
    made.put([0])
    assert broker.asked.wait(10)
    made.put(range(1, 1_201))
    broker.answers.set()

    wait_until(lambda: settled(made), "what waited was not published")

    sizes = [len(message) for message in broker.messages]
    assert sizes == [1, MESSAGE_COUNTERS, MESSAGE_COUNTERS, 200]


def test_failure__is_counted_and_opens_the_breaker(
    made: Publisher, broker: FakeBroker, settings: Settings
) -> None:
    settings.ROLLUPS_TRIGGER_PAUSE_SECONDS = 60
    broker.fails = lambda: ConnectionResetError("gone")
    made.put([1, 2])
    wait_until(lambda: made.breaker.is_open, "the breaker stays closed")

    for counter_id in range(3, 50):
        made.put([counter_id])

    wait_until(lambda: made.waiting == 47, "they do not wait for the broker")
    assert made.counts.failed == {"ConnectionResetError": 2}
    assert broker.messages == []
    assert adds_up(made)


def test_failure__is_over_when_the_broker_is_back(
    made: Publisher, broker: FakeBroker
) -> None:
    tries: list[int] = []

    def fail_twice() -> Exception | None:
        tries.append(1)
        return OSError() if len(tries) <= 2 else None

    broker.fails = fail_twice

    wait_until(lambda: made.put([1]) and made.counts.published, "never published again")
    assert made.counts.failed == {"OSError": 2}
    assert adds_up(made)


def test_accounting__adds_up_under_random_faults(
    made: Publisher, broker: FakeBroker
) -> None:
    chance = random.Random(4)
    errors: list[Exception | None] = [
        None,
        None,
        OSError(),
        TimeoutError(),
        BrokerBusy("busy"),
    ]
    # One of each for certain: on a busy machine the rest may be a message or two.
    publish(made, [1])
    broker.fails = OSError
    publish(made, [1])
    assert made.breaker.is_open
    broker.fails = lambda: chance.choice(errors)
    made._most = 40
    ends = threading.Event()
    seen: list[bool] = []

    def watch() -> None:
        while not ends.is_set():
            seen.append(adds_up(made))

    def write(seed: int) -> None:
        mine = random.Random(seed)
        for _ in range(300):
            ids = [mine.randrange(100) for _ in range(mine.randrange(1, 5))]
            if mine.random() < 0.1:
                publish(made, ids)
            else:
                made.put(ids)

    watcher = threading.Thread(target=watch)
    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in (watcher, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    made.flush(5)
    ends.set()
    watcher.join()

    assert all(seen)
    assert settled(made)
    assert adds_up(made)
    assert min(outcomes(made.counts)) > 0


def publish(made: Publisher, ids: list[int]) -> None:
    try:
        made.publish(ids)
    except (OSError, BrokerBusy):
        return


def test_publish__raises_what_went_wrong(
    made: Publisher, broker: FakeBroker, settings: Settings
) -> None:
    settings.ROLLUPS_TRIGGER_PAUSE_SECONDS = 60
    broker.fails = lambda: OSError("gone")

    with pytest.raises(OSError, match="gone"):
        made.publish([1, 2])
    with pytest.raises(BrokerBusy):
        made.publish([3])

    assert made.counts.failed == {"OSError": 2}
    assert made.counts.dropped == {"breaker": 1}
    assert adds_up(made)


def test_broker__does_not_make_a_second_thread_wait_for_long(
    settings: Settings,
) -> None:
    settings.ROLLUPS_TRIGGER_TIMEOUT_SECONDS = 0.01
    made = Publisher()

    with made.broker._lock, pytest.raises(BrokerBusy):
        made.publish([1])

    assert made.counts.dropped == {"busy": 1}
    assert not made.breaker.is_open


def test_flush__publishes_what_waits_and_ends_the_thread(
    made: Publisher, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "GATHER_SECONDS", 30)
    made.put([1])
    wait_until(lambda: broker.messages, "the first goes out without gathering")
    made.put([2])

    made.flush(10)

    assert sorted(broker.ids) == [1, 2]
    assert made._thread is None
    # A trigger that comes later yet is not lost without a count.
    made.put([3])
    wait_until(lambda: settled(made), "a late trigger waits")
    assert sorted(broker.ids) == [1, 2, 3]
    assert adds_up(made)


def test_flush__gives_up_at_its_deadline(made: Publisher, broker: FakeBroker) -> None:
    broker.answers.clear()
    made.put([1])
    assert broker.asked.wait(10)
    made.put([2, 3])

    made.flush(0.01)

    assert made.counts.dropped == {"exit": 2}
    assert adds_up(made)


def test_flush__of_a_publisher_that_was_never_used_starts_nothing() -> None:
    made = Publisher()

    made.flush(1)

    assert made._thread is None


def test_process__has_one_publisher_thread(made: Publisher, broker: FakeBroker) -> None:
    before = threading.active_count()
    writers = [
        threading.Thread(target=lambda: [made.put([i]) for i in range(200)])
        for _ in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert threading.active_count() <= before + 1
    wait_until(lambda: settled(made), "not published")


def test_fork__starts_afresh() -> None:
    """What runs in the child, here by itself: forking a process with threads is unsafe."""
    parents = publisher.get()
    parents.breaker.trip()
    try:
        publisher._start_afresh()

        child = publisher.get()
        assert child is not parents
        assert child.broker is not parents.broker
        assert (child.counts.requested, child.waiting, child._thread) == (0, 0, None)
        assert not child.breaker.is_open
    finally:
        parents.breaker.reset()
        publisher._publisher = parents


@pytest.mark.parametrize(
    ("setting", "value"),
    [("ROLLUPS_TRIGGER", "off"), ("CELERY_TASK_ALWAYS_EAGER", True)],
)
def test_request__publishes_nothing_where_triggers_are_off(
    settings: Settings, setting: str, value: object
) -> None:
    setattr(settings, setting, value)
    before = publisher.get().counts.requested

    assert request.request([1, 2]) == 0
    assert request.send([1], expires_seconds=1, sweep_id=1) == 0

    assert publisher.get().counts.requested == before


def test_broker__sends_celerys_own_message(
    broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through apply_async, so that what listens to Celery's signals sees it."""
    purge(broker_url)
    sent: list[dict[str, Any]] = []

    def see(**options: Any) -> None:
        sent.append(options)

    before_task_publish.connect(see, sender="rollups.rollup", weak=False)
    made = publishing.Broker(broker_url)
    try:
        made.publish([3, 4], expires_seconds=7, countdown_seconds=5, sweep_id=9)
    finally:
        before_task_publish.disconnect(see, sender="rollups.rollup")
        made.close()

    [options] = sent
    assert options["body"][:2] == ([[3, 4]], {"sweep_id": 9})
    assert options["routing_key"] == "rollups"
    assert options["properties"]["expiration"] == 7
    assert options["headers"]["ignore_result"] is True
    assert options["headers"]["eta"] < options["headers"]["expires"]
    purge(broker_url)


def test_put__costs_a_busy_process_one_message_a_gather(
    made: Publisher, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lone trigger goes out at once; what follows shares the next message."""
    monkeypatch.setattr(publisher, "GATHER_SECONDS", 1)
    made.put([0])
    wait_until(lambda: broker.messages, "a lone trigger waits")

    for counter_id in range(1, 100):
        made.put([counter_id])

    wait_until(lambda: settled(made), "not published")
    assert [len(message) for message in broker.messages] == [1, 99]
