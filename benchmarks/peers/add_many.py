"""This project: batches of 1,000 events over a thousand counters."""

from __future__ import annotations

from benchmarks import ground
from counters import recording

TITLE = "add_many (this project), 1,000 each"
STEP_EVENTS = 1_000
BESIDE = ("worker",)


def setup(counters: int) -> None:
    ground.create_counters(max(counters, STEP_EVENTS))


def step(key: int) -> None:
    recording.add_many(
        [recording.NewEvent("bench", f"c{i}") for i in range(STEP_EVENTS)]
    )
