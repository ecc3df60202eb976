"""An add through Python: one hot counter, then 100,000 counters."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime

from django.db import connection

from benchmarks.profile import backends
from benchmarks.profile.local import profile
from counters import events
from counters.models import Namespace
from counters.recording import tokens

COUNTERS = 100_000
MANY = """
INSERT INTO counters_counter (namespace_id, name)
SELECT id, 'c' || i FROM counters_namespace, generate_series(0, %s - 1) AS i
"""


def show(seconds: float) -> None:
    events.add(namespace="bench", name="hot")
    profile(
        "An add to one hot counter",
        lambda: _add("hot"),
        seconds=seconds,
    )
    with connection.cursor() as cursor:
        cursor.execute(MANY, [COUNTERS])
        cursor.execute("VACUUM ANALYZE")
    names = itertools.cycle(random.sample(range(COUNTERS), COUNTERS))
    profile(
        f"An add to one of {COUNTERS:,} counters",
        lambda: _add(f"c{next(names)}"),
        seconds=seconds,
    )
    token = tokens.new()
    backends.show_plan(
        "counters",
        "add_event",
        {
            "namespace_id": Namespace.objects.get().pk,
            "name": "hot",
            "token": token.uuid,
            "event_time": datetime.now(UTC),
            "delta": 1,
        },
    )
    backends.show_tables()


def _add(name: str) -> None:
    events.add(namespace="bench", name=name)
