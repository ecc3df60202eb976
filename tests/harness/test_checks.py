"""Each checker, fed with what a service that does not keep its word would leave behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from tests.harness import checks
from tests.harness.checks import State, StoredEvent, Sum
from tests.harness.ledger import Account, Tried
from tests.histories import Read

A, B, C = (str(UUID(int=number, version=4)) for number in (1, 2, 3))


def account(*tried: Tried, **others: Any) -> Account:
    return Account(tried={(one.name, one.token): one for one in tried}, **others)


# Acknowledged: 5 and 7 on x; begun and never answered: 100 on y.
TRIED = (
    Tried("x", A, 5, began=1, ended=2),
    Tried("x", B, 7, began=3, ended=4),
    Tried("y", C, 100, began=5),
)
X = [StoredEvent("x", UUID(A), 5), StoredEvent("x", UUID(B), 7)]
Y = [StoredEvent("y", UUID(C), 100)]
GOOD = State(events=X, rollups={"x": Sum(12, 2)}, buckets={"x": Sum(12, 2)})


def read(count: int, *, began: float = 6, accuracy: Any = "accurate") -> Read:
    return Read(began, began + 0.5, count, accuracy, as_of=began)


def found(of: Account, state: State) -> dict[str, int]:
    lines = checks.run(of, state)
    return {check: len(lines[check]) for check in lines if lines[check]}


def test_checks__take_what_is_right() -> None:
    reads = {"x": [read(12), read(0, began=0), read(5, began=2.5)], "y": [read(100)]}

    assert found(account(*TRIED, reads=reads), GOOD) == {}


def test_unacknowledged__may_count_once() -> None:
    both = {"x": Sum(12, 2), "y": Sum(100, 1)}

    assert found(account(*TRIED), State([*X, *Y], both, both)) == {}


BAD: dict[str, tuple[State, dict[str, int]]] = {
    "an acknowledged add is lost": (
        State(X[:1], {"x": Sum(5, 1)}, {"x": Sum(5, 1)}),
        {"acknowledged = counted": 1},
    ),
    "it is there on another counter": (
        State(
            [*X[:1], StoredEvent("y", UUID(B), 7)],
            {"x": Sum(5, 1), "y": Sum(7, 1)},
            {"x": Sum(5, 1), "y": Sum(7, 1)},
        ),
        {"acknowledged = counted": 1, "nothing counts that nobody sent": 1},
    ),
    "it is there with another delta": (
        State(
            [X[0], StoredEvent("x", UUID(B), 8)],
            {"x": Sum(13, 2)},
            {"x": Sum(13, 2)},
        ),
        {"acknowledged = counted": 1},
    ),
    "an unacknowledged one is there with another delta": (
        State(
            [*X, StoredEvent("y", UUID(C), 99)],
            {"x": Sum(12, 2), "y": Sum(99, 1)},
            {"x": Sum(12, 2), "y": Sum(99, 1)},
        ),
        {"acknowledged = counted": 1},
    ),
    "an acknowledged one is there twice": (
        State([*X, X[0]], {"x": Sum(17, 3)}, {"x": Sum(17, 3)}),
        {"no token counts twice": 1},
    ),
    "an unacknowledged one is there twice": (
        State(
            [*X, *Y, *Y],
            {"x": Sum(12, 2), "y": Sum(200, 2)},
            {"x": Sum(12, 2), "y": Sum(200, 2)},
        ),
        {"no token counts twice": 1},
    ),
    "an event that nobody sent": (
        State(
            [*X, StoredEvent("x", UUID(int=9), 0)],
            {"x": Sum(12, 3)},
            {"x": Sum(12, 3)},
        ),
        {"nothing counts that nobody sent": 1},
    ),
    "a rollup lost an event": (
        replace(GOOD, rollups={"x": Sum(5, 1)}, buckets={"x": Sum(5, 1)}),
        {"rollup = sum of events": 1},
    ),
    "a rollup is right in sum only": (
        replace(GOOD, rollups={"x": Sum(12, 3)}, buckets={"x": Sum(12, 3)}),
        {"rollup = sum of events": 1},
    ),
    "a rollup is missing": (
        replace(GOOD, rollups={}, buckets={}),
        {"rollup = sum of events": 1},
    ),
    "a rollup of nothing": (
        replace(
            GOOD,
            rollups=GOOD.rollups | {"z": Sum(1, 1)},
            buckets=GOOD.buckets | {"z": Sum(1, 1)},
        ),
        {"rollup = sum of events": 1},
    ),
    "buckets lost an event": (
        replace(GOOD, buckets={"x": Sum(7, 1)}),
        {"buckets = rollup": 1},
    ),
    "buckets are missing": (replace(GOOD, buckets={}), {"buckets = rollup": 1}),
    "something stays pending": (
        replace(GOOD, pending=frozenset({"x"})),
        {"nothing stays pending": 1},
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_state__that_is_wrong_is_caught(case: str) -> None:
    state, expected = BAD[case]

    assert found(account(*TRIED), state) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(read(5), id="an acknowledged add is missing"),
        pytest.param(read(19), id="an add counts twice"),
        pytest.param(read(12, began=2.1), id="an add before it began"),
        pytest.param(
            read(19, accuracy="eventual"), id="eventual, ahead of what was begun"
        ),
        pytest.param(read(5, accuracy="eventual"), id="eventual, behind its own claim"),
    ],
)
def test_read__that_cannot_be_is_caught(wrong: Read) -> None:
    assert found(account(*TRIED, reads={"x": [wrong]}), GOOD) == {
        "reads within bounds": 1
    }


def test_read__holds_nothing_that_was_rolled_back() -> None:
    rolled_back = Tried("y", C, 100, began=5, withdrawn=True)
    both = {"x": Sum(12, 2), "y": Sum(100, 1)}

    assert found(account(*TRIED[:2], rolled_back), GOOD) == {}
    assert found(account(*TRIED[:2], rolled_back, reads={"y": [read(100)]}), GOOD) == {
        "reads within bounds": 1
    }
    assert found(account(*TRIED[:2], rolled_back), State([*X, *Y], both, both)) == {
        "nothing counts that nobody sent": 1
    }


def test_wrong_answers__are_told_once_with_their_number() -> None:
    spoken = account(*TRIED, wrong_answers=["500 internal-error"] * 3)

    lines = checks.run(spoken, GOOD)["no wrong answers"]

    assert lines == ["3 times: 500 internal-error"]


def test_every_check__has_a_case_that_fails_it() -> None:
    covered = {check for _, expected in BAD.values() for check in expected}

    assert covered | {"reads within bounds", "no wrong answers"} == set(checks.CHECKS)


@pytest.mark.parametrize("check", checks.CHECKS.values())
def test_check__says_nothing_of_an_empty_service(check: Callable[..., Any]) -> None:
    assert list(check(Account(), State())) == []
