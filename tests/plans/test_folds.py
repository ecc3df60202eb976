"""A fold costs what it folds, and a sweep what is pending: never what there is besides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from counters.db.statements import fetch
from counters.models import Counter, LastWrite
from tests.plans.explaining import explain_file
from tests.plans.seeding import SLOTS, TO_FOLD, Seeded

pytestmark = pytest.mark.django_db
NOTHING = timedelta(0)


def test_fold__reads_no_more_pages_however_many_events_are_kept(
    seeded: Seeded, mode: str
) -> None:
    few, many = (
        explain_file("rollups", "fold_events", mode, counter_ids=[counter_id])
        for counter_id in (seeded.few_id, seeded.many_id)
    )

    assert many.rows_read("counters_event") == TO_FOLD
    assert few.rows_read("counters_event") == TO_FOLD
    assert many.buffers < 1.25 * few.buffers


def test_fold__reads_the_index_alone_and_the_partitions_that_were_written(
    seeded: Seeded, mode: str
) -> None:
    plan = explain_file("rollups", "fold_events", mode, counter_ids=[seeded.many_id])

    assert not plan.read_whole
    assert plan.scans("counters_event") == {"Index Only Scan"}
    assert len(plan.partitions()) <= 2


def test_fold__of_many_counters_reads_their_rows_only(
    seeded: Seeded, mode: str
) -> None:
    pending = LastWrite.objects.exclude(counter_id__in=[seeded.few_id, seeded.many_id])
    ids = list(pending.order_by("counter_id").distinct().values_list("counter_id"))
    batch = [counter_id for (counter_id,) in ids[:100]]

    plan = explain_file("rollups", "fold_events", mode, counter_ids=batch)

    assert not plan.read_whole
    # Each has some last writes, of an event each.
    assert plan.rows_read("counters_event") == SLOTS * len(batch)


def test_fold__of_one_counter_is_planned_once(seeded: Seeded) -> None:
    """PostgreSQL plans a prepared statement five times before it may keep a plan."""
    statements = ["prepare_fold", "fold_events", "remove_settled", "read_counters"]
    for name in statements:
        for _ in range(20):
            fetch(connection, "rollups", name, counter_ids=[seeded.few_id])

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(custom_plans), min(generic_plans), count(*)"
            " FROM pg_prepared_statements WHERE statement LIKE '%(SELECT $_::bigint[])%'"
        )
        planned, kept, found = cursor.fetchone()
    assert found >= len(statements)
    assert planned <= 5
    assert kept >= 5


def test_fold_in_parts__reads_the_part_only(seeded: Seeded, mode: str) -> None:
    bound = explain_file(
        "rollups", "bound_fold", mode, counter_ids=[seeded.many_id], most=10
    )
    part = explain_file(
        "rollups",
        "fold_events_up_to",
        mode,
        counter_ids=[seeded.many_id],
        bounds=[_next_transaction()],
    )

    assert not bound.read_whole | part.read_whole
    # It looks at one more, in each partition that the waiting events lie in.
    assert bound.rows_read("counters_event") <= TO_FOLD
    assert part.rows_read("counters_event") == TO_FOLD


@pytest.mark.parametrize("statement", ["prepare_fold", "lock_rollups"])
def test_fold__is_prepared_by_look_ups(
    seeded: Seeded, mode: str, statement: str
) -> None:
    plan = explain_file(
        "rollups", statement, mode, counter_ids=[seeded.many_id, seeded.few_id]
    )

    assert not plan.read_whole
    assert plan.rows_read("rollups_rollup") <= 4


def test_fold__removes_what_is_settled_by_look_ups(seeded: Seeded, mode: str) -> None:
    plan = explain_file(
        "rollups", "remove_settled", mode, counter_ids=[seeded.many_id, seeded.few_id]
    )

    assert not plan.read_whole
    assert plan.rows_read("rollups_rollup") <= 4


@pytest.mark.parametrize(
    "statement",
    [
        "select_pending",
        "measure_lag",
        "measure_status",
        "measure_lag_spread",
        "find_pending",
        "take_sample",
    ],
)
def test_sweep__reads_a_rollup_for_each_that_is_pending_and_no_more(
    seeded: Seeded, mode: str, statement: str
) -> None:
    given: dict[str, dict[str, Any]] = {
        "select_pending": {"grace": NOTHING, "most": 500},
        "measure_status": {"alive": timedelta(seconds=30)},
        "find_pending": {"namespace_id": None, "prefix": "", "most": 50},
        "take_sample": {"gap": NOTHING, "keep": timedelta(days=1)},
    }
    # The planner does not know yet how few are left.
    LastWrite.objects.filter(counter_id__gt=_first() + 49).delete()

    plan = explain_file("rollups", statement, mode, **given.get(statement, {}))

    assert not plan.read_whole
    assert not plan.nodes("counters_event")
    assert plan.rows_read("rollups_rollup") <= 50 * SLOTS


def test_measure_counter_lags__looks_up_the_counters_that_are_asked_for(
    seeded: Seeded, mode: str
) -> None:
    """In the view, which would else read the last writes of all."""
    ids = [seeded.few_id, seeded.many_id]

    plan = explain_file("rollups", "measure_counter_lags", mode, counter_ids=ids)

    assert not plan.read_whole
    assert plan.rows_read("counters_lastwrite") <= 2 * SLOTS
    assert plan.rows_read("rollups_rollup") <= 2 * SLOTS


def test_read_latest_events__reads_a_few_of_each_partition(
    seeded: Seeded, mode: str
) -> None:
    plan = explain_file(
        "rollups", "read_latest_events", mode, counter_id=seeded.many_id, most=20
    )

    assert not plan.read_whole
    assert plan.rows_read("counters_event") <= 20 * len(plan.partitions()) + 20


def test_series__reads_the_span_that_is_asked_for(seeded: Seeded, mode: str) -> None:
    until = datetime.now(UTC)

    plan = explain_file(
        "rollups",
        "read_series",
        mode,
        counter_id=_first(),
        bucket="minute",
        since=until - timedelta(hours=1),
        until=until,
    )

    assert not plan.read_whole
    assert plan.rows_read("rollups_bucket") <= 60


def _next_transaction() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
        [(found,)] = cursor.fetchall()
    return str(found)


def _first() -> int:
    return Counter.objects.earliest("pk").pk
