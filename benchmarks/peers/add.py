"""This project: `recording.add` on one hot counter, its trigger and a worker running."""

from __future__ import annotations

from counters import configuring, recording
from counters.models import Namespace

TITLE = "add (this project), one hot counter"
STEP_EVENTS = 1
WITH_WORKER = True


def setup() -> None:
    if not Namespace.objects.filter(name="bench").exists():
        configuring.create({"name": "bench"})
    recording.add(namespace="bench", name="hot")


def step() -> None:
    recording.add(namespace="bench", name="hot")
