"""This project over REST: `POST .../add`, authenticated, its trigger on, a worker folding."""

from __future__ import annotations

import os
from functools import cache

from benchmarks import ground
from benchmarks.peers.http import Sender

TITLE = "POST add (this project)"
STEP_EVENTS = 1
BESIDE = ("worker", "web")
BODY = b'{"delta":1}'


def setup(counters: int) -> None:
    ground.create_counters(counters)


def step(key: int) -> None:
    sender().post(
        f"/api/v1/namespaces/bench/counters/c{key}/add",
        BODY,
        token=token(),
    )


@cache
def sender() -> Sender:
    return Sender()


def token() -> str:
    """Return the API token that the runner made, see `programs.web`."""
    return os.environ["BENCH_TOKEN"]
