"""An add finds its counter and its places by index, however much there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.plans.explaining import explain_file
from tests.plans.seeding import Seeded

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def test_add_event__reads_its_counter_and_nothing_else(
    seeded: Seeded, mode: str
) -> None:
    plan = explain_file(
        "counters",
        "add_event",
        mode,
        namespace_id=seeded.namespace_id,
        name="page/00000000",
        token=uuid4(),
        event_time=datetime.now(UTC),
        delta=1,
    )

    assert not plan.read_whole
    assert plan.rows_read("counters_counter") == 1
    assert not plan.scans("counters_event")
    assert not plan.scans("counters_lastwrite")


def test_add_event_of_untimed_token__looks_for_its_token_in_the_accept_window_only(
    seeded: Seeded, mode: str
) -> None:
    now = datetime.now(UTC)
    plan = explain_file(
        "counters",
        "add_event_of_untimed_token",
        mode,
        namespace_id=seeded.namespace_id,
        name="page/00000000",
        token=uuid4(),
        event_time=now,
        delta=1,
        accept_past=DAY,
    )

    assert not plan.read_whole
    assert plan.rows_read("counters_event") == 0
    assert f"counters_event_{now - 2 * DAY:%Y%m%d}" not in plan.partitions()
    assert f"counters_event_{now - DAY:%Y%m%d}" in plan.partitions()


def test_add_events__reads_the_counters_of_its_batch(seeded: Seeded, mode: str) -> None:
    size = 200
    plan = explain_file(
        "counters",
        "add_events",
        mode,
        namespace_ids=[seeded.namespace_id] * size,
        names=[f"page/{2 * number:08}" for number in range(size)],
        tokens=[uuid4() for _ in range(size)],
        event_times=[datetime.now(UTC)] * size,
        deltas=[1] * size,
        accept_pasts=[None if number % 2 else DAY for number in range(size)],
    )

    assert not plan.read_whole
    assert plan.rows_read("counters_counter") == size
    assert plan.rows_read("counters_event") == 0
