"""The same update, inside a request's transaction that takes 5 ms more after it."""

from __future__ import annotations

import time

from django.db import transaction

from benchmarks.peers import update_f
from benchmarks.peers.add_in_request import REQUEST_SECONDS

TITLE = "F update, 5 ms transaction"
STEP_EVENTS = 1
BESIDE = ()
setup = update_f.setup


def step(key: int) -> None:
    with transaction.atomic():
        update_f.step(key)
        time.sleep(REQUEST_SECONDS)
