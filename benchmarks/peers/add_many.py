"""This project: batches of 1,000 events over a thousand counters."""

from __future__ import annotations

from benchmarks import ground
from counters import events

TITLE = "add_many (this project), 1,000 each"
STEP_EVENTS = 1_000
BESIDE = ("worker",)


def setup(counters: int) -> None:
    ground.create_counters(max(counters, STEP_EVENTS))


def step(key: int) -> None:
    events.add_many([events.NewEvent("bench", f"c{i}") for i in range(STEP_EVENTS)])
