"""A read costs the same whatever a counter has behind it, and whatever is beside it."""

from __future__ import annotations

import pytest
from django.db import connection

from counters.db.statements import fetch
from counters.models import Counter
from tests.plans.explaining import explain_file
from tests.plans.seeding import TO_FOLD, Seeded

pytestmark = pytest.mark.django_db
PAGE = 50


def test_read_eventual__reads_as_many_pages_with_a_long_history_as_with_a_short_one(
    seeded: Seeded, mode: str
) -> None:
    few, many = (
        explain_file(
            "rollups",
            "read_eventual",
            mode,
            namespace_id=seeded.namespace_id,
            name=name,
        )
        for name in ("kept/few", "kept/many")
    )

    assert many.buffers == few.buffers
    assert not many.read_whole
    assert many.nodes("counters_event") == []
    for table in ("counters_counter", "rollups_rollup", "counters_lastwrite"):
        assert many.rows_read(table) == 1, table


def test_read_accurate__reads_what_is_pending_from_the_index_alone(
    seeded: Seeded, mode: str
) -> None:
    few, many = (
        explain_file(
            "rollups",
            "read_accurate",
            mode,
            namespace_id=seeded.namespace_id,
            name=name,
        )
        for name in ("kept/few", "kept/many")
    )

    assert not many.read_whole
    assert many.scans("counters_event") == {"Index Only Scan"}
    assert many.rows_read("counters_event") == TO_FOLD
    assert len(many.partitions()) <= 2
    assert many.buffers < 1.5 * few.buffers


def test_read_accurate__of_what_is_folded_opens_no_partition(
    seeded: Seeded, mode: str
) -> None:
    name = Counter.objects.get(pk=seeded.settled_id).name
    plan = explain_file(
        "rollups", "read_accurate", mode, namespace_id=seeded.namespace_id, name=name
    )

    assert not plan.read_whole
    assert not plan.partitions()


def test_read_counters__reads_a_row_a_counter(seeded: Seeded, mode: str) -> None:
    ids = list(Counter.objects.order_by("-pk").values_list("pk", flat=True)[:PAGE])

    plan = explain_file("rollups", "read_counters", mode, counter_ids=ids)

    assert not plan.read_whole
    assert plan.rows_read("counters_counter") == PAGE
    assert plan.rows_read("rollups_rollup") <= PAGE


def test_read_named_counters__reads_a_row_a_counter(seeded: Seeded, mode: str) -> None:
    plan = explain_file(
        "rollups",
        "read_named_counters",
        mode,
        namespace_ids=[seeded.namespace_id] * PAGE,
        names=[f"page/{10_000 + 2 * number:08}" for number in range(PAGE)],
    )

    assert not plan.read_whole
    assert plan.rows_read("counters_counter") == PAGE
    assert plan.rows_read("rollups_rollup") <= PAGE


def test_read_named_accurately__reads_what_is_pending_from_the_index_alone(
    seeded: Seeded, mode: str
) -> None:
    few, many = (
        explain_file(
            "rollups",
            "read_named_accurately",
            mode,
            namespace_ids=[seeded.namespace_id] * (PAGE + 1),
            names=[
                f"kept/{kept}",
                *(f"page/{10_000 + 2 * number:08}" for number in range(PAGE)),
            ],
        )
        for kept in ("few", "many")
    )

    assert not many.read_whole
    assert many.scans("counters_event") == {"Index Only Scan"}
    assert many.rows_read("counters_event") == TO_FOLD
    assert many.rows_read("counters_counter") == PAGE + 1
    assert many.buffers < 1.5 * few.buffers


def test_read_named__of_one_name_is_planned_once(seeded: Seeded) -> None:
    """PostgreSQL plans a prepared statement five times before it may keep a plan."""
    statements = ["read_named_counters", "read_named_accurately"]
    for statement in statements:
        for _ in range(20):
            fetch(
                connection,
                "rollups",
                statement,
                namespace_ids=[seeded.namespace_id],
                names=["kept/few"],
            )

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(custom_plans), count(*) FROM pg_prepared_statements"
            " WHERE statement LIKE '%FROM unnest(%text[]%'"
        )
        planned, found = cursor.fetchone()
    assert found >= len(statements)
    assert planned <= 5


def test_read_total__reads_the_buckets_of_its_counter(
    seeded: Seeded, mode: str
) -> None:
    plan = explain_file(
        "rollups",
        "read_total",
        mode,
        namespace_id=seeded.namespace_id,
        name="kept/many",
        since=None,
        until=None,
    )

    assert not plan.read_whole
    assert plan.nodes("counters_event") == []
