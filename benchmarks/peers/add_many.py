"""This project: batches of 1,000 over a thousand counters."""

from __future__ import annotations

from benchmarks.peers import add
from counters import recording

TITLE = "add_many (this project), batches of 1,000"
STEP_EVENTS = 1_000
WITH_WORKER = True
BATCH = [recording.NewEvent("bench", f"counter {i}") for i in range(STEP_EVENTS)]


def setup() -> None:
    add.setup()
    recording.add_many(BATCH)


def step() -> None:
    recording.add_many(BATCH)
