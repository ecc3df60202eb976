"""The same seed: the same faults in the same order, and the same client operations."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from tests.harness import faults, schedule
from tests.harness.operations import Operation, operations
from tests.harness.schedule import Step

ROUNDS = 20


def steps(seed: str, number: int) -> list[Step]:
    endless = schedule.steps(seed=seed, faults=faults.NAMES, most_hold_seconds=4)
    return list(islice(endless, number))


def done(seed: str, client: int, number: int = 2_000) -> list[Operation]:
    return list(islice(operations(seed=seed, client=client), number))


def test_seed__gives_the_same_schedule() -> None:
    assert steps("7", 100) == steps("7", 100)
    assert steps("7", 100) != steps("8", 100)


def test_seed__gives_each_client_the_same_operations() -> None:
    assert done("7", 0) == done("7", 0)
    assert done("7", 0) != done("7", 1)
    assert done("7", 0) != done("8", 0)


def test_schedule__has_every_fault_once_a_round() -> None:
    times: Counter[str] = Counter()
    rounds = 0
    for step in steps("1", ROUNDS * len(faults.NAMES)):
        times.update(one.fault for one in step.faults)
        if set(times.values()) == {rounds + 1} and len(times) == len(faults.NAMES):
            rounds += 1
        assert set(times.values()) <= {rounds, rounds + 1}
    assert rounds >= ROUNDS


def test_schedule__never_breaks_one_place_in_two_ways_at_once() -> None:
    pairs = [step.faults for step in steps("1", 1_000) if len(step.faults) > 1]

    assert pairs
    for one, other in pairs:
        assert schedule.place(one.fault) != schedule.place(other.fault)
    assert schedule.place("disk full") == schedule.place("database killed")


def test_schedule__keeps_to_the_longest_hold() -> None:
    assert all(1 <= step.hold_seconds <= 4 for step in steps("1", 1_000))


def test_operations__are_of_every_kind() -> None:
    seen = done("1", 0)
    events = [event for operation in seen for event in operation.events]

    assert {one.kind for one in seen} == {
        *("add", "hedge", "repeat", "conflict", "batch", "accurate", "eventual")
    }
    assert any(one.hasty for one in seen)
    assert any(one.hasty and one.abandoned for one in seen)
    assert any(event.delta < 0 for event in events)
    assert any(event.age_seconds for event in events)
    assert {event.token[:1] == "" for event in events} == {True, False}
    assert any(
        len(set(one.events)) < len(one.events) for one in seen if one.kind == "batch"
    )
