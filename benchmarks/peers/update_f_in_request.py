"""The same update, inside a request's transaction that takes 5 ms more after it."""

from __future__ import annotations

import time

from django.db import transaction

from benchmarks.peers import update_f
from benchmarks.peers.add_in_request import REQUEST_SECONDS

TITLE = 'update(total=F("total") + 1), in a 5 ms transaction'
STEP_EVENTS = 1
WITH_WORKER = False
setup = update_f.setup


def step() -> None:
    with transaction.atomic():
        update_f.step()
        time.sleep(REQUEST_SECONDS)
