"""The plainest DRF view that does the update: no authentication, no middleware."""

from __future__ import annotations

from benchmarks.peers.rest_add import BODY, sender
from benchmarks.plain.models import create_table

TITLE = "POST, plainest view, F update"
STEP_EVENTS = 1
BESIDE = ("plain_web",)


def setup(counters: int) -> None:
    create_table(counters)


def step(key: int) -> None:
    sender().post(f"/add/c{key}", BODY)
