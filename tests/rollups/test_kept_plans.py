"""The last writes come and go: a plan that was made while there were none is kept when many come.

Where a vacuum gives the pages of an empty table back, PostgreSQL takes reading all of it for the
cheapest way, and a connection keeps that plan until the next vacuum: a minute, in which each fold
would read the last writes of all counters.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction

from counters import events
from counters.events import NewEvent
from counters.models import LastWrite, Namespace
from rollups.folding.fold import fold
from tests.conftest import Threads
from tests.plans.explaining import prepared_file
from tests.races.waiting import TIMEOUT_SECONDS

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("committed_namespace"),
]

COUNTERS = 2_000


def add_to_all(namespace: Namespace) -> list[int]:
    added = events.add_many(
        NewEvent(namespace.name, f"c{number}") for number in range(COUNTERS)
    )
    return [one.counter_id for one in added]


def of_ids(namespace: Namespace, ids: list[int]) -> dict[str, Any]:
    return {"counter_ids": ids[:1]}


def of_name(namespace: Namespace, ids: list[int]) -> dict[str, Any]:
    return {"namespace_id": namespace.pk, "name": "c0"}


STATEMENTS = {
    "prepare_fold": of_ids,
    "fold_events": of_ids,
    "remove_settled": of_ids,
    "measure_counter_lags": of_ids,
    "read_counters": of_ids,
    "read_eventual": of_name,
    "read_accurate": of_name,
}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_last_writes__are_looked_up_after_a_time_without_any(
    committed_namespace: Namespace, statement: str, threads: Threads
) -> None:
    ids = add_to_all(committed_namespace)
    fold(ids)
    assert not LastWrite.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE counters_lastwrite")

    parameters = STATEMENTS[statement](committed_namespace, ids)

    with (
        transaction.atomic(),
        prepared_file(
            "rollups", statement, "force_generic_plan", **parameters
        ) as explain,
    ):
        explain()
        # Committed by another connection: no fold runs where its counters were added to.
        threads.submit(add_to_all, committed_namespace).result(TIMEOUT_SECONDS)
        plan = explain()

    assert plan.rows_read("counters_lastwrite") <= 4
