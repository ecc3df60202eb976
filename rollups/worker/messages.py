"""Checks what a rollup message asks for: a broker brings what somebody put into it."""

from __future__ import annotations

from counters.errors import shown

LARGEST_ID = 2**63 - 1
# Several times what the publishers put into one.
MOST_COUNTERS = 10_000


class BadMessage(Exception):
    """A message that none of our publishers has made."""


def check(counter_ids: object, turn: object, sweep_id: object) -> None:
    """Raise BadMessage unless these are counter ids, a turn, and a sweep's id or None."""
    if not isinstance(counter_ids, list) or len(counter_ids) > MOST_COUNTERS:
        raise BadMessage(f"counter_ids: {shown(counter_ids)} is no list of ids")
    for counter_id in counter_ids:
        if not _is_whole(counter_id, at_least=1):
            raise BadMessage(f"counter_ids: {shown(counter_id)} is no id")
    if not _is_whole(turn, at_least=0):
        raise BadMessage(f"turn: {shown(turn)} is no number of turns")
    if sweep_id is not None and not _is_whole(sweep_id, at_least=1):
        raise BadMessage(f"sweep_id: {shown(sweep_id)} is no id")


def _is_whole(value: object, *, at_least: int) -> bool:
    # bool is a subclass of int.
    return type(value) is int and at_least <= value <= LARGEST_ID
