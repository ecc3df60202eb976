"""Days that get their partition while folds run, and an event at once.

`tests/rollups/test_new_partitions.py` holds the deterministic twins.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from counters import namespaces, partitions, recording
from counters.models import LONGEST, Counter, Namespace
from rollups import auditing
from rollups.folding import fold
from rollups.models import Rollup
from tests.conftest import Threads
from tests.races.waiting import TIMEOUT_SECONDS

pytestmark = [
    pytest.mark.race,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]

FOLDERS = 3
COUNTERS = 4
DAYS = 40
FIRST = datetime(2001, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def _any_day(committed_namespace: Namespace) -> Iterator[None]:
    Namespace.objects.update(accept_past=LONGEST, retention=LONGEST)
    namespaces.forget_all()
    yield
    with connection.cursor() as cursor:
        for made in partitions.existing():
            if made.until <= FIRST + DAYS * DAY:
                cursor.execute(f"DROP TABLE {made.name}")


@pytest.mark.usefixtures("_any_day")
def test_folds__are_exact_while_partitions_are_made(threads: Threads) -> None:
    names = [f"counter {number}" for number in range(COUNTERS)]
    recording.add_many([recording.NewEvent("test", name, 0) for name in names])
    ids = list(Counter.objects.values_list("pk", flat=True))
    done = threading.Event()

    def keep_folding() -> None:
        while not done.is_set():
            fold(ids)

    folders = [threads.submit(keep_folding) for _ in range(FOLDERS)]
    try:
        for number in range(DAYS):
            day = FIRST + number * DAY
            partitions.make(day, day, now=day)
            for name in names:
                recording.add(
                    namespace="test", name=name, token="t", generation_time=day
                )
    finally:
        done.set()
        for folder in folders:
            folder.result(TIMEOUT_SECONDS)

    fold(ids)
    totals = Rollup.objects.values_list("counter__name", "total")
    assert dict(totals) == dict.fromkeys(names, DAYS)
    assert all(one.is_right for batch in auditing.audit() for one in batch)
