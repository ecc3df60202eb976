"""A backlog after a long outage drains in bounded folds to exact totals.

`make faults` runs the long form: 100,000 pending counters and 10 million events.
"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from pytest_django import Settings

from counters.models import LastWrite, Namespace
from rollups.folding import sweep
from rollups.folding.fold import Folded, fold
from rollups.models import Rollup, Sweep
from rollups.worker.message_handler import work

pytestmark = pytest.mark.django_db(transaction=True)
BATCH = 500


@dataclass(frozen=True)
class Backlog:
    """So many counters with so many events each, and one with very many."""

    counters: int
    events_each: int
    events_of_first: int

    @property
    def events(self) -> int:
        return self.counters * self.events_each + self.events_of_first


SHORT = Backlog(counters=600, events_each=20, events_of_first=30_000)
LONG = Backlog(counters=100_000, events_each=50, events_of_first=5_000_000)


def build(backlog: Backlog, namespace: Namespace) -> None:
    """Write the events as adds of an hour ago; in transactions of 1,000 for the first."""
    parameters = {
        "namespace_id": namespace.pk,
        "counters": backlog.counters,
        "each": backlog.events_each,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO counters_counter (namespace_id, name)"
            " SELECT %(namespace_id)s, 'c' || i FROM generate_series(1, %(counters)s) AS i",
            parameters,
        )
        cursor.execute(
            "INSERT INTO counters_event (counter_id, token, event_time, delta)"
            " SELECT id, gen_random_uuid(), now(), i"
            " FROM counters_counter, generate_series(1, %(each)s) AS i",
            parameters,
        )
        cursor.execute("SELECT min(id) FROM counters_counter")
        [(first,)] = cursor.fetchall()
        for _ in range(backlog.events_of_first // 1_000):
            cursor.execute(
                "INSERT INTO counters_event (counter_id, token, event_time, delta)"
                " SELECT %s, gen_random_uuid(), now(), 1 FROM generate_series(1, 1000)",
                [first],
            )
        cursor.execute(
            "INSERT INTO counters_lastwrite (counter_id, slot, written_at, pending_since,"
            " oldest_event_time, newest_event_time)"
            " SELECT id, 1, now(), now() - interval '1 hour',"
            " now() - interval '1 day', now() + interval '1 minute'"
            " FROM counters_counter"
        )
        cursor.execute("ANALYZE counters_event, counters_lastwrite, counters_counter")


@pytest.mark.parametrize(
    "backlog",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(
            LONG,
            id="long",
            marks=[
                pytest.mark.slow,
                pytest.mark.timeout(1800),
                pytest.mark.skipif("LONG_TESTS" not in os.environ, reason="long"),
            ],
        ),
    ],
)
def test_backlog__drains_in_bounded_folds_to_exact_totals(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    backlog: Backlog,
) -> None:
    most = 10_000 if backlog is SHORT else 500_000
    monkeypatch.setattr("rollups.folding.fold.MOST_EVENTS", most)
    settings.ROLLUPS_SWEEP_COUNTERS = 250 if backlog is SHORT else 50_000
    settings.ROLLUPS_SWEEP_PERIOD_SECONDS = 0.000_001
    build(backlog, committed_namespace)
    folds: list[int] = []

    def note(ids: list[int], **options: Any) -> Folded:
        folded = fold(ids, **options)
        folds.append(folded.events)
        return folded

    monkeypatch.setattr("rollups.folding.bisect.fold", note)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    while LastWrite.objects.exists():
        sweep.sweep()
        assert sum(len(batch) for batch in triggers) <= settings.ROLLUPS_SWEEP_COUNTERS
        # Grows by what is re-enqueued.
        for batch in triggers:
            assert len(batch) <= BATCH
            cache.clear()
            work(batch, sweep_id=Sweep.objects.latest("id").pk)
        triggers.clear()

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(events)::bigint FROM rollups_rollup")
        assert cursor.fetchall() == [(backlog.events,)]
    each = backlog.events_each * (backlog.events_each + 1) // 2
    totals = list(Rollup.objects.order_by("counter_id").values_list("total", flat=True))
    assert totals.pop(0) == each + backlog.events_of_first
    assert totals == [each] * (backlog.counters - 1)
    assert sum(Sweep.objects.values_list("healed", flat=True)) == backlog.counters
    # The limit, or a thousand of each counter; and what is left of a transaction.
    assert max(folds) <= max(most, 1_000 * BATCH) + 1_000
    assert grown < 100_000, f"{grown:,} kB"
