"""This project, inside a request's transaction that takes 5 ms more after the add."""

from __future__ import annotations

import time

from django.db import transaction

from benchmarks.peers import add
from counters import recording

TITLE = "add (this project), in a 5 ms transaction"
STEP_EVENTS = 1
WITH_WORKER = True
REQUEST_SECONDS = 0.005
setup = add.setup


def step() -> None:
    with transaction.atomic():
        recording.add(namespace="bench", name="hot")
        time.sleep(REQUEST_SECONDS)
