"""This project over REST: batches of 1,000 events over a thousand counters."""

from __future__ import annotations

import json

from benchmarks import ground
from benchmarks.peers.rest_add import sender, token

TITLE = "POST events (this project), 1,000 each"
STEP_EVENTS = 1_000
BESIDE = ("worker", "web")
BODY = json.dumps(
    {
        "events": [
            {"namespace": "bench", "name": f"c{i}", "delta": 1}
            for i in range(STEP_EVENTS)
        ]
    }
).encode()


def setup(counters: int) -> None:
    ground.create_counters(max(counters, STEP_EVENTS))


def step(key: int) -> None:
    sender().post("/api/v1/events", BODY, token=token())
