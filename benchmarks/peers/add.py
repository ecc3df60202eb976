"""This project: `recording.add`, its trigger on and a worker folding."""

from __future__ import annotations

from benchmarks import ground
from counters import events

TITLE = "add (this project)"
STEP_EVENTS = 1
BESIDE = ("worker",)


def setup(counters: int) -> None:
    ground.create_counters(counters)


def step(key: int) -> None:
    events.add(namespace="bench", name=f"c{key}")
