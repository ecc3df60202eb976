"""A fold, and an accurate read, cost what is pending, not what the counter ever had."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from counters import events
from counters.db.statements import load
from counters.models import Namespace
from rollups.folding.fold import fold

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]
KEPT, TRANSACTIONS, PENDING = 200_000, 2, 30


@pytest.fixture
def counter_id(committed_namespace: Namespace) -> int:
    """A counter with many folded events, a few pending, and one open while it was folded.

    Few transactions wrote the many: so the planner thinks little of the index by them.
    """
    found = events.add(namespace="test", name="hits").counter_id
    assert found is not None
    with connection.cursor() as cursor:
        for _ in range(TRANSACTIONS):
            cursor.execute(
                "INSERT INTO counters_event (counter_id, token, event_time, delta)"
                " SELECT %s, gen_random_uuid(), now(), 1 FROM generate_series(1, %s)",
                [found, KEPT // TRANSACTIONS],
            )
    late = connection.copy()
    late.set_autocommit(False)
    with late.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()")
    fold([found])
    late.rollback()
    late.close()
    for _ in range(PENDING):
        events.add(namespace="test", name="hits")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE counters_event")
    return found


def events_read(statement: str, types: str, values: list[Any]) -> int:
    """Run the statement as a prepared one; return how many rows the events' scans read."""
    with connection.cursor() as cursor:
        cursor.execute("SET plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE measured {types} AS {statement}")
        arguments = ", ".join(values)
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE measured ({arguments})")
        [(plan,)] = cursor.fetchall()
        cursor.execute("DEALLOCATE measured")
        cursor.execute("RESET plan_cache_mode")
    tree = json.loads(plan) if isinstance(plan, str) else plan
    return sum(
        node["Actual Loops"]
        * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in nodes(tree[0]["Plan"])
        if node.get("Relation Name", "").startswith("counters_event")
    )


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def test_folds_and_accurate_reads__read_what_is_pending_and_nothing_else(
    counter_id: int, committed_namespace: Namespace
) -> None:
    ids = f"'{{{counter_id}}}'"
    with connection.cursor() as cursor:
        cursor.execute(
            load("rollups", "bound_fold"), {"counter_ids": [counter_id], "most": 9}
        )
        [(_, bound)] = cursor.fetchall()

    read = {
        "read_accurate": events_read(
            numbered("read_accurate", "namespace_id", "name"),
            "(bigint, text)",
            [str(committed_namespace.pk), "'hits'"],
        ),
        "fold_events_up_to": events_read(
            numbered("fold_events_up_to", "counter_ids", "bounds"),
            "(bigint[], text[])",
            [ids, f"'{{{bound}}}'"],
        ),
        "fold_events": events_read(
            numbered("fold_events", "counter_ids"), "(bigint[])", [ids]
        ),
    }

    assert read == {
        "read_accurate": PENDING,
        "fold_events_up_to": 10,
        "fold_events": PENDING - 10,
    }


def numbered(statement: str, *parameters: str) -> str:
    """Return the statement with PREPARE's kind of parameters."""
    text = load("rollups", statement)
    for number, name in enumerate(parameters, start=1):
        text = text.replace(f"%({name})s", f"${number}")
    return text.replace("%%", "%")
