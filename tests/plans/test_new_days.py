"""A new day's partition: PostgreSQL knows little of it, or what was true a while ago.

Whatever it believes, a fold and an accurate read look at what waits, an add looks for its
token, and none of them at all that their counter has had that day.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from counters.models import Counter
from tests.plans.explaining import Plan, prepared_file
from tests.plans.seeding import Seeded

pytestmark = pytest.mark.django_db

# Long after the days of other tests.
DAY = datetime(2040, 1, 1, tzinfo=UTC)
FOLDED, TO_FOLD = 10_000, 100

_PARTITION = """
CREATE TABLE counters_event_new_day PARTITION OF counters_event
  FOR VALUES FROM ('2040-01-01Z') TO ('2040-01-02Z')
"""
# Transactions that ended before this cluster was a minute old.
_EVENTS = """
INSERT INTO counters_event (counter_id, token, event_time, delta, xid)
SELECT %(counter_id)s, gen_random_uuid(),
       '2040-01-01Z'::timestamptz + random() * interval '1 hour',
       1, (%(first)s + i %% 90)::text::xid8
FROM generate_series(1, %(events)s) AS i
"""
_ONE_EACH = """
INSERT INTO counters_event (counter_id, token, event_time, delta, xid)
SELECT id, gen_random_uuid(), '2040-01-01Z', 1, '10'
FROM counters_counter ORDER BY id LIMIT %(counters)s
"""
_FOLDED_UP_TO = "UPDATE rollups_rollup SET watermark = '100:100:' WHERE counter_id = %s"
_WAITING = """
UPDATE counters_lastwrite SET oldest_event_time = '2040-01-01Z',
                              newest_event_time = '2040-01-01 01:00Z'
WHERE counter_id = %s
"""


def execute(statement: str, parameters: Any = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def add(counter_id: int, *, folded: int, to_fold: int) -> None:
    for first, events in ((10, folded), (100, to_fold)):
        execute(_EVENTS, {"counter_id": counter_id, "first": first, "events": events})


def nothing(counter_id: int) -> None:
    """As at midnight."""


def a_few(counter_id: int) -> None:
    add(counter_id, folded=90, to_fold=10)


def a_few_of_many(counter_id: int) -> None:
    execute(_ONE_EACH, {"counters": 1_000})
    add(counter_id, folded=5, to_fold=5)
    execute("ANALYZE counters_event_new_day")


def many_of_many(counter_id: int) -> None:
    for _ in range(5):
        execute(_ONE_EACH, {"counters": 4_000})
    add(counter_id, folded=5, to_fold=5)
    execute("ANALYZE counters_event_new_day")


KNOWN: list[Callable[[int], None]] = [nothing, a_few, a_few_of_many, many_of_many]
STATEMENTS = {
    "fold_events": "rollups",
    "fold_events_up_to": "rollups",
    "bound_fold": "rollups",
    "read_accurate": "rollups",
    "add_event_of_untimed_token": "counters",
    "add_events": "counters",
    "find_first_events": "counters",
}


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.__name__)
@pytest.mark.parametrize("statement", STATEMENTS)
def test_new_day__what_is_wanted_is_read_and_no_more(
    seeded: Seeded, mode: str, statement: str, known: Callable[[int], None]
) -> None:
    plan = explain_on_new_day(statement, mode, seeded.many_id, known)

    assert plan.rows_read("counters_event") <= TO_FOLD + 10


def explain_on_new_day(
    statement: str,
    mode: str,
    counter_id: int,
    known: Callable[[int], None],
) -> Plan:
    """Carry a statement out when the day is as PostgreSQL knows it, and later that day."""
    execute(_PARTITION)
    for write in (_FOLDED_UP_TO, _WAITING):
        execute(write, [counter_id])
    known(counter_id)
    counter = Counter.objects.get(pk=counter_id)
    with prepared_file(
        STATEMENTS[statement], statement, mode, **given(statement, counter)
    ) as explain:
        explain()
        add(counter_id, folded=FOLDED, to_fold=TO_FOLD)
        plan = explain()
    assert "counters_event_new_day" in plan.partitions()
    return plan


def given(statement: str, counter: Counter) -> dict[str, Any]:
    """Return parameters: of a fold or read of the counter, or of adds of new tokens to it."""
    at, window = DAY + timedelta(minutes=30), timedelta(minutes=20)
    ids, name = [counter.pk], counter.name
    parameters: dict[str, dict[str, Any]] = {
        "fold_events": {"counter_ids": ids},
        "fold_events_up_to": {"counter_ids": ids, "bounds": ["500"]},
        "bound_fold": {"counter_ids": ids, "most": TO_FOLD - 1},
        "read_accurate": {"namespace_id": counter.namespace_id, "name": name},
        "add_event_of_untimed_token": {
            "namespace_id": counter.namespace_id,
            "name": name,
            "token": uuid4(),
            "event_time": at,
            "delta": 1,
            "accept_past": window,
        },
        "add_events": {
            "namespace_ids": [counter.namespace_id] * 20,
            "names": [name] * 20,
            "tokens": [uuid4() for _ in range(20)],
            "event_times": [at] * 20,
            "deltas": [1] * 20,
            "accept_pasts": [window] * 20,
        },
        "find_first_events": {
            "counter_ids": ids * 20,
            "tokens": [uuid4() for _ in range(20)],
            "sinces": [at - window] * 20,
            "untils": [at] * 20,
            "used_ats": [at] * 20,
        },
    }
    return parameters[statement]
