"""The core's operations in every order of their steps: see docs/exactness.md.

`make interleavings` runs the full set, INTERLEAVING="…" an order that was bad.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import combinations_with_replacement

import pytest

from counters.models import Namespace
from tests.interleavings.operations import KINDS
from tests.interleavings.scenarios import explore_scenario, exploring, replay

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _exploring(committed_namespace: Namespace) -> Iterator[None]:
    with exploring():
        yield


# --- Nothing is wrong in any order ------------------------------------------------------------

# With the number of preemptions; None is every order.
SHORT: dict[str, int | None] = {
    "add_in_block fold": 2,
    "add_and_roll_back fold": 1,
    "fold fold add": 1,
    "fold_part fold_part add": 1,
    "batch fold_part": None,
    "sweep fold": 1,
    "clear fold": 1,
    "clear add_in_block": 1,
    "clear clear_shared": 1,
    "clear_shared clear_shared": 1,
    "delete add": 1,
    "delete fold": 1,
    "make add_new_day fold": 1,
    "move add_new_day": 1,
    "move fold": 1,
    "kept move fold": 1,
    "repeatable move fold": 1,
    "repeatable close import_old": 1,
    "repeatable add_shared batch": None,
    "add_shared batch": None,
    "add_shared_text batch_text add_shared_text": None,
    "reindex add_shared add_shared": 1,
    "close import_old": 1,
    "close fold": 1,
    "close close": 1,
    "repair fold": 1,
    "reanchor add_in_block": 1,
    "read add fold": 1,
    "verify add_in_block": 1,
    "add_first add_first_in_block": 1,
}
# Pairs of which both only read, or have only one statement to hold, teach nothing.
_ALONE = {"read", "verify", "hold"}
TRIPLES = [
    "fold make add_new_day",
    "fold move add_new_day",
    "fold move add_new_day_in_block",
    "fold fold add_in_block",
    "fold_part fold_part add_in_block",
    "fold clear add_in_block",
    "fold delete add",
    "sweep clear add_in_block",
    "close import_old fold",
    "close_and_drop import_old fold",
    "close repair fold",
    "reanchor fold make",
    "reindex add_shared batch",
    "read make add_new_day",
    "fold make add_new_day hold",
    "clear make add_new_day hold",
    "read make add_new_day hold",
    "repair make add_new_day hold",
    "reanchor make add_new_day hold",
    "verify make add_new_day hold",
    "sweep make add_new_day hold",
    "fold_part make add_new_day hold",
    "delete make add_new_day hold",
    "fold move add_new_day hold",
    "kept fold make add_new_day",
    "kept fold move add_new_day_in_block",
    "kept read move add_new_day",
    "kept fold fold add_in_block",
    "kept fold_part clear add_in_block",
    "kept reindex add_shared add_shared",
    "kept close import_old fold",
    "repeatable fold fold add_in_block",
    "repeatable fold move add_new_day_in_block",
    "repeatable fold make add_new_day hold",
    "repeatable sweep clear add",
    "repeatable close import_old fold",
    "repeatable add_shared batch add_shared",
    "repeatable add_shared_text batch_text fold",
    "repeatable delete add fold",
    "repeatable reanchor add_in_block fold",
    "repeatable repair add_first_in_block fold",
]
PREEMPTIONS = int(os.environ.get("PREEMPTIONS", "2"))
FULL: dict[str, int | None] = {
    **{
        f"{one} {other}": PREEMPTIONS
        for one, other in combinations_with_replacement(KINDS, 2)
        if not {one, other} <= _ALONE and "hold" not in {one, other}
    },
    **dict.fromkeys(TRIPLES, 1),
}
IS_FULL = os.environ.get("INTERLEAVINGS") == "full"


@pytest.mark.parametrize(
    ("scenario", "preemptions"), (FULL if IS_FULL else SHORT).items()
)
def test_operations__are_exact_in_every_order(
    scenario: str, preemptions: int | None
) -> None:
    explored = explore_scenario(scenario, preemptions=preemptions)

    print(f"{scenario}: {explored.orders} orders in {explored.seconds:.1f} s")  # noqa: T201
    assert not explored.faults, explored.faults[0]
    assert explored.diverged <= explored.orders // 20


# A fold is planned, and stalls; a partition is attached; an event comes into it.
WHAT_LOST_EVENTS = "fold make add_new_day hold: 3 0 0 0"


def test_replay__of_an_order() -> None:
    fault = replay(os.environ.get("INTERLEAVING", WHAT_LOST_EVENTS))

    assert fault is None, fault


# --- What the explorer finds if a guarantee is removed -------------------------------------------

NOTHING_OPEN = {
    "FROM pg_snapshot_xip(folding.watermark) AS was_open (xid)": (
        "FROM (SELECT '3'::xid8 WHERE false) AS was_open (xid)"
    )
}
# Scenario, preemptions, and the texts of statements with their replacements.
TAKEN_OUT: dict[str, tuple[str, int, dict[str, str]]] = {
    "the partitions are held before a fold is planned": (
        "fold make add_new_day hold",
        1,
        {
            "AND NOT EXISTS (SELECT FROM ONLY counters_event, counters_event_default"
            " WHERE false)": ""
        },
    ),
    "a fold looks for what was open at the last one": (
        "add_in_block fold fold",
        1,
        NOTHING_OPEN,
    ),
    # The rule that most rollup tables use: fold what happened since the last fold's time.
    "a fold goes by a snapshot and not by a time": (
        "add_in_block fold",
        1,
        {
            "SELECT rollup.counter_id, rollup.watermark,": (
                "SELECT rollup.counter_id, rollup.watermark_at, rollup.watermark,"
            ),
            "AND xid >= pg_snapshot_xmax(folding.watermark)": (
                "AND event_time > folding.watermark_at"
            ),
            **NOTHING_OPEN,
        },
    ),
    "a part's watermark leaves out what is open": (
        "add fold_part fold_part add_in_block",
        1,
        {"SELECT string_agg(xid::text, ',' ORDER BY xid)": "SELECT NULL::text"},
    ),
    "folds lock their rollups": (
        "fold fold add",
        1,
        {"FOR UPDATE SKIP LOCKED": ""},
    ),
    "a last write stays until it is covered": (
        "add fold",
        1,
        {"AND pg_visible_in_snapshot(last_write.xid, rollup.watermark)\n  FOR": "FOR"},
    ),
    "strays move under the lock of the whole event table": (
        "read move",
        1,
        {"LOCK TABLE ONLY counters_event IN ACCESS EXCLUSIVE MODE;": ""},
    ),
}


@pytest.mark.parametrize(
    ("scenario", "preemptions", "replaced"), TAKEN_OUT.values(), ids=TAKEN_OUT
)
def test_explorer__finds_what_goes_wrong_unless(
    scenario: str, preemptions: int, replaced: dict[str, str]
) -> None:
    explored = explore_scenario(scenario, preemptions=preemptions, replaced=replaced)

    print(f"{scenario}: {explored.orders} orders in {explored.seconds:.1f} s")  # noqa: T201
    assert explored.faults


def test_explorer__runs_every_order_once() -> None:
    """Operations of one step and of five: the one runs before each of the five, or last."""
    explored = explore_scenario("add fold")

    assert explored.orders == 6
