"""This project, inside a request's transaction that takes 5 ms more after the add."""

from __future__ import annotations

import time

from django.db import transaction

from benchmarks.peers import add

TITLE = "add (this project), 5 ms transaction"
STEP_EVENTS = 1
BESIDE = add.BESIDE
REQUEST_SECONDS = 0.005
setup = add.setup


def step(key: int) -> None:
    with transaction.atomic():
        add.step(key)
        time.sleep(REQUEST_SECONDS)
