"""From a request to a message: bounded, coalesced, counted, and off the writer's thread."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from rollups.trigger import broker as publishing
from rollups.trigger import publisher, request
from rollups.trigger.broker import BrokerBusy, Message
from rollups.trigger.circuit_breaker import Breaker
from rollups.trigger.counts import Tally
from rollups.trigger.publisher import MESSAGE_COUNTERS, Publisher
from rollups.trigger.spacing import Gathering
from rollups.trigger.sparing import Sparing
from rollups.worker.debounce import Circulating
from tests.programs import wait_until


class FakeBroker:
    """Takes messages, or fails, or does not answer until it is told to."""

    queued = 0

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.threads: set[str] = set()
        self.fails: Callable[[], Exception | None] = lambda: None
        self.answers = threading.Event()
        self.answers.set()
        self.asked = threading.Event()

    def publish(self, message: Message) -> None:
        self.threads.add(threading.current_thread().name)
        self.asked.set()
        assert self.answers.wait(30)
        if error := self.fails():
            raise error
        self.messages.append(message)

    @property
    def ids(self) -> list[int]:
        return [one for message in self.messages for one in message.counter_ids]


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def made(broker: FakeBroker, settings: Settings) -> Iterator[Publisher]:
    """A publisher with a fake broker, ended after the test."""
    settings.ROLLUPS_TRIGGER_GATHER_SECONDS = 0.001
    settings.ROLLUPS_TRIGGER_PAUSE_SECONDS = 0.02
    made = Publisher(Breaker())
    made.broker = broker  # type: ignore[assignment]
    yield made
    broker.answers.set()
    made.flush(5)


def settled(made: Publisher) -> bool:
    with made._lock:
        return not made.waiting and not made.tally.publishing


def adds_up(made: Publisher) -> bool:
    with made._lock:
        tally = made.tally
        return tally.requested == made.waiting + tally.publishing + sum(outcomes(tally))


def outcomes(tally: Tally) -> tuple[int, int, int, int]:
    return (
        tally.coalesced,
        tally.published,
        tally.failed.total(),
        tally.dropped.total(),
    )


def test_put__is_published_in_the_background(
    made: Publisher, broker: FakeBroker
) -> None:
    assert made.put([3, 1, 2]) == 3

    wait_until(lambda: settled(made), "nothing was published")
    assert sorted(broker.ids) == [1, 2, 3]
    assert broker.threads == {"trigger"}
    assert outcomes(made.tally) == (0, 3, 0, 0)


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
    assert made.tally.published == 1


def test_put__coalesces_what_waits_already(made: Publisher, broker: FakeBroker) -> None:
    broker.answers.clear()
    made.put([0])
    assert broker.asked.wait(10)

    for _ in range(100):
        made.put([7, 8])

    assert made.waiting == 2
    assert made.tally.coalesced == 198
    broker.answers.set()
    wait_until(lambda: settled(made), "what waited was not published")
    assert [sorted(message.counter_ids) for message in broker.messages] == [[0], [7, 8]]


def test_put__spares_what_is_folded_soon_anyway(
    made: Publisher, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "rollups.worker.debounce.look_up",
        lambda ids: Circulating(coming_soon=frozenset({2, 3} & set(ids))),
    )

    made.put([1, 2])
    wait_until(lambda: settled(made), "what waited was not settled")
    made.put([3])
    wait_until(lambda: settled(made), "what waited was not settled")

    assert broker.ids == [1]
    assert outcomes(made.tally) == (2, 1, 0, 0)
    assert adds_up(made)


def test_put__asks_again_about_what_is_being_folded(
    made: Publisher, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its fold may not have seen the write, and may circulate or not afterwards."""
    asked: list[list[int]] = []
    folding = {2, 3, 4}

    def look_up(counter_ids: list[int]) -> Circulating:
        asked.append(sorted(counter_ids))
        if len(asked) < 4:
            assert adds_up(made)
            # One that is written again meanwhile waits once.
            made.put([4])
            return Circulating(being_folded=frozenset(folding & set(counter_ids)))
        return Circulating(coming_soon=frozenset({3} & set(counter_ids)))

    monkeypatch.setattr("rollups.worker.debounce.look_up", look_up)

    made.put([1, 2, 3, 4])
    wait_until(lambda: settled(made), "what waited was not settled")

    assert broker.messages[0].counter_ids == [1]
    assert asked == [[1, 2, 3, 4], [2, 3, 4], [2, 3, 4], [2, 3, 4]]
    assert sorted(broker.ids) == [1, 2, 4]
    # Three more requests for 4 joined it, and 3 circulates.
    assert outcomes(made.tally) == (4, 3, 0, 0)
    assert adds_up(made)


def test_flush__publishes_what_is_being_folded(
    made: Publisher, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends cannot ask again."""
    monkeypatch.setattr(
        "rollups.worker.debounce.look_up",
        lambda ids: Circulating(being_folded=frozenset(ids)),
    )
    made.put([1, 2])

    made.flush(10)

    assert sorted(broker.ids) == [1, 2]
    assert outcomes(made.tally) == (0, 2, 0, 0)


@pytest.mark.parametrize(
    ("took", "all_spared", "seconds"),
    [(0.0, False, 0.04), (0.008, False, 0.08), (1.0, False, 0.2), (0.0, True, 0.12)],
)
def test_gathering__is_longer_where_sending_takes_long(
    took: float, all_spared: bool, seconds: float, settings: Settings
) -> None:
    settings.ROLLUPS_TRIGGER_GATHER_SECONDS = 0.04

    gathers = Gathering().seconds(took, all_spared=all_spared, queued=0)

    assert gathers == pytest.approx(seconds)


def test_gathering__doubles_while_messages_wait_for_workers(
    settings: Settings,
) -> None:
    settings.ROLLUPS_TRIGGER_GATHER_SECONDS = 0.04
    gathering = Gathering()

    queued = [16, 17, 500, 500, 500, 16, 0, 0]
    gathers = [gathering.seconds(0.0, all_spared=False, queued=n) for n in queued]

    assert gathers == pytest.approx([0.04, 0.08, 0.16, 0.2, 0.2, 0.1, 0.05, 0.04])


def test_gathering__takes_a_setting_beyond_the_longest(settings: Settings) -> None:
    settings.ROLLUPS_TRIGGER_GATHER_SECONDS = 1
    gathering = Gathering()

    assert gathering.seconds(0.1, all_spared=False, queued=0) == 1
    assert gathering.seconds(0.1, all_spared=False, queued=100) == 1


@pytest.mark.parametrize("few", [(), (1,)], ids=["none", "one of three"])
def test_sparing__asks_less_and_less_where_little_is_hot(
    few: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    hot = Circulating(coming_soon=frozenset(few))
    asked: list[int] = []

    def look_up(counter_ids: list[int]) -> Circulating:
        asked.append(1)
        return hot

    monkeypatch.setattr("rollups.worker.debounce.look_up", look_up)
    sparing = Sparing()

    for _ in range(1_000):
        assert sparing.of([1, 2, 3]) in (Circulating(), hot)
    assert 30 <= len(asked) <= 40
    hot = Circulating(frozenset({1}), frozenset({2}))
    spared = [sparing.of([1, 2, 3]) for _ in range(132)]
    assert spared[-100:] == [hot] * 100


def test_put__drops_what_is_beyond_the_bound(
    broker: FakeBroker, settings: Settings
) -> None:
    settings.ROLLUPS_TRIGGER_WAITING_COUNTERS = 10
    made = Publisher(Breaker())
    made.broker = broker  # type: ignore[assignment]
    broker.answers.clear()
    made.put([0])
    assert broker.asked.wait(10)

    assert made.put(range(1, 9)) == 8
    assert made.put(range(5, 15)) == 6  # four wait already, two more fit, four do not
    assert made.put([99]) == 0

    assert made.waiting == 10
    assert made.tally.dropped == {"overflow": 5}
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

    sizes = [len(message.counter_ids) for message in broker.messages]
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
    assert made.tally.failed == {"ConnectionResetError": 2}
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

    wait_until(lambda: made.put([1]) and made.tally.published, "never published again")
    assert made.tally.failed == {"OSError": 2}
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
        BrokerBusy(),
    ]
    # One of each for certain: on a busy machine the rest may be a message or two.
    publish_now(made, [1])
    broker.fails = OSError
    publish_now(made, [1])
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
                publish_now(made, ids)
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
    assert min(outcomes(made.tally)) > 0


def publish_now(made: Publisher, ids: list[int]) -> None:
    try:
        made.publish_now(Message(ids, 60))
    except (OSError, BrokerBusy):
        return


def test_publish_now__raises_what_went_wrong(
    made: Publisher, broker: FakeBroker, settings: Settings
) -> None:
    settings.ROLLUPS_TRIGGER_PAUSE_SECONDS = 60
    broker.fails = lambda: OSError("gone")

    with pytest.raises(OSError, match="gone"):
        made.publish_now(Message([1, 2], 60))
    with pytest.raises(BrokerBusy):
        made.publish_now(Message([3], 60))

    assert made.tally.failed == {"OSError": 2}
    assert made.tally.dropped == {"breaker": 1}
    assert adds_up(made)


def test_broker__does_not_make_a_second_thread_wait_for_long(
    settings: Settings,
) -> None:
    settings.ROLLUPS_TRIGGER_TIMEOUT_SECONDS = 0.01
    broker = publishing.Broker()

    with broker._lock, pytest.raises(BrokerBusy):
        broker.publish(Message([1], 60))


def test_flush__publishes_what_waits_and_ends_the_thread(
    made: Publisher, broker: FakeBroker, settings: Settings
) -> None:
    settings.ROLLUPS_TRIGGER_GATHER_SECONDS = 30
    made.put([1])
    wait_until(lambda: broker.messages, "the first goes out without gathering")
    made.put([2])

    made.flush(10)

    assert sorted(broker.ids) == [1, 2]
    assert made._thread is None
    made.put([3])
    assert made.tally.dropped == {"exit": 1}
    assert adds_up(made)


def test_flush__gives_up_at_its_deadline(made: Publisher, broker: FakeBroker) -> None:
    broker.answers.clear()
    made.put([1])
    assert broker.asked.wait(10)
    made.put([2, 3])

    made.flush(0.01)

    assert made.tally.dropped == {"exit": 2}
    assert adds_up(made)


def test_flush__of_a_publisher_that_was_never_used_starts_nothing() -> None:
    made = Publisher(Breaker())

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
    publisher.breaker.trip()
    try:
        publisher._start_afresh()

        child = publisher.get()
        assert child is not parents
        assert child.broker is not parents.broker
        assert (child.tally.requested, child.waiting, child._thread) == (0, 0, None)
        assert not publisher.breaker.is_open
    finally:
        publisher._publisher = parents


def test_request__is_nobodys_where_triggers_are_off(settings: Settings) -> None:
    settings.ROLLUPS_TRIGGER = "off"
    before = publisher.get().tally.requested

    assert request.request([1, 2]) == 0
    assert request.send([1], expires_seconds=1, sweep_id=1) == 0

    assert publisher.get().tally.requested == before
