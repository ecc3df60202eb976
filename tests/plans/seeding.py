"""Fills the database for the plan tests: 100,000 counters with their history.

A tenth of the counters get nearly half of the events, and the first one a few in a
hundred. Rollups and buckets are the ones that folds would have made. Two more counters
have the same number of events to fold; one has 300 times as many folded events.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from counters.models import Counter, Namespace
from counters.partitions import create

COUNTERS, EVENTS, PENDING = 100_000, 300_000, 2_000
FEW, MANY = 1_000, 300_000
TO_FOLD = 1_000
NAMESPACES = 40
DAYS = 7
SLOTS = 3

_NAMESPACES = """
INSERT INTO counters_namespace (
  name, description, counter_type, accept_past, accept_future, retention, bucket_size,
  created_at
)
SELECT 'site-' || lpad(i::text, 2, '0'), '', 'eventual', '1 day', '5 minutes', '30 days',
       'minute', now()
FROM generate_series(1, %(namespaces)s) AS i
ON CONFLICT (name) DO NOTHING
"""
# Half of them in one namespace, the others shared out.
_COUNTERS = """
WITH place AS (
  SELECT array_agg(id ORDER BY name) AS ids
  FROM counters_namespace WHERE name LIKE 'site-%%'
)
INSERT INTO counters_counter (namespace_id, name)
SELECT ids[CASE WHEN i %% 2 = 0 THEN 1 ELSE 1 + i %% %(namespaces)s END],
       'page/' || lpad(i::text, 8, '0')
FROM place, generate_series(0, %(counters)s - 1) AS i
"""
# Each part in a transaction of its own: the planner sees as many ids as there were writes.
_SPREAD_EVENTS = """
INSERT INTO counters_event (counter_id, token, event_time, delta)
SELECT first.id + floor(%(counters)s * power(random(), 4))::bigint,
       gen_random_uuid(),
       %(until)s::timestamptz - random() * interval '1 day',
       1 + floor(random() * 3)::bigint
FROM (SELECT min(id) AS id FROM counters_counter WHERE name LIKE 'page/%%') AS first,
     generate_series(1, %(events)s)
ORDER BY 1
"""
_ROLLUPS = """
INSERT INTO rollups_rollup (
  counter_id, namespace_id, total, events, watermark, watermark_at, last_write_at
)
SELECT counter.id, counter.namespace_id, folded.total, folded.events,
       pg_current_snapshot(), now() - interval '30 seconds', folded.last_write_at
FROM (
  SELECT counter_id, sum(delta) AS total, count(*) AS events,
         max(event_time) AS last_write_at
  FROM counters_event
  GROUP BY counter_id
) AS folded
JOIN counters_counter AS counter ON counter.id = folded.counter_id
"""
_BUCKETS = """
INSERT INTO rollups_bucket (counter_id, bucket_at, delta, events)
SELECT counter_id, date_trunc('minute', event_time, 'UTC'), sum(delta), count(*)
FROM counters_event
GROUP BY 1, 2
ORDER BY 1, 2
"""
_PENDING = """
WITH pending AS (
  SELECT counter.id, number, slot, now() - random() * interval '20 seconds' AS at
  FROM (
    SELECT id, row_number() OVER (ORDER BY id) AS number
    FROM counters_counter WHERE name LIKE 'page/%%' ORDER BY id LIMIT %(pending)s
  ) AS counter, generate_series(1, %(slots)s) AS slot
),
event AS (
  INSERT INTO counters_event (counter_id, token, event_time, delta)
  SELECT id, gen_random_uuid(), at, 1 FROM pending
)
INSERT INTO counters_lastwrite (
  counter_id, slot, written_at, pending_since, oldest_event_time, newest_event_time
)
SELECT id, slot, at, at, at, at FROM pending
"""
# What beats and sweeps every five seconds leave: samples for a day, sweeps for a week.
_SAMPLES = """
INSERT INTO rollups_sample (
  sampled_at, pending, lag_p50_seconds, lag_p99_seconds, lag_max_seconds, inserted, numbers
)
SELECT now() - i * interval '5 seconds', 100 + i %% 37, 0.1, 0.4, 0.9, 100000000 - 400 * i,
       (
         SELECT jsonb_object_agg('number_' || n, 1000000 - i)
                || jsonb_build_object('events_folded', 9000000 - 400 * i,
                                      'requested', 500000 - 20 * i)
         FROM generate_series(1, 40) AS n
       )
FROM generate_series(0, 17279) AS i
"""
_SWEEPS = """
INSERT INTO rollups_sweep (swept_at, pending, overdue, healed, oldest_lag)
SELECT now() - i * interval '5 seconds', 100 + i %% 37, i %% 3, i %% 2, interval '900 ms'
FROM generate_series(0, 120959) AS i
"""
_FAILURES = """
INSERT INTO rollups_failure (
  counter_id, error, attempts, failed_since, failed_at, next_try_at
)
SELECT id, 'DataError: out of range', 3, now() - interval '1 hour', now(), now()
FROM counters_counter WHERE name LIKE 'page/%%' ORDER BY id OFFSET 10 LIMIT 20
"""
_PROCESSES = """
INSERT INTO rollups_process (id, role, host, pid, numbers)
SELECT gen_random_uuid(), role, 'host-' || n, 4000 + n, '{}'
FROM unnest(ARRAY['web', 'worker', 'beat']) AS role, generate_series(1, 4) AS n
"""
_EVENTS = """
INSERT INTO counters_event (counter_id, token, event_time, delta)
SELECT %s, gen_random_uuid(), now() - random() * interval '1 second', 1
FROM generate_series(1, %s)
"""
_FOLDED = """
INSERT INTO rollups_rollup (
  counter_id, namespace_id, total, events, watermark, watermark_at, last_write_at
)
SELECT id, namespace_id, %s, %s, pg_current_snapshot(), now(), now()
FROM counters_counter WHERE id = %s
"""
_LAST_WRITE = """
INSERT INTO counters_lastwrite (
  counter_id, slot, written_at, pending_since, oldest_event_time, newest_event_time
)
SELECT %s, 1, now(), now(), now() - interval '5 seconds', now()
"""


@dataclass(frozen=True, slots=True)
class Seeded:
    """The ids that tests ask with."""

    # The largest namespace.
    namespace_id: int
    # A counter that was folded, and nothing of it waits.
    settled_id: int
    # With the same events to fold: few, and many, that are folded.
    few_id: int
    many_id: int


def seed() -> Seeded:
    """Fill the database; commits."""
    # Index pages that rolled-back tests left half empty would change what a look-up reads.
    clean()
    _fill(counters=COUNTERS, events=EVENTS, pending=PENDING)
    namespace = Namespace.objects.get(name="site-01")
    few_id, many_id = (
        _counter(namespace, name, kept)
        for name, kept in (("kept/few", FEW), ("kept/many", MANY))
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    settled = Counter.objects.filter(namespace=namespace, rollup__isnull=False)
    return Seeded(
        namespace_id=namespace.pk,
        settled_id=settled.filter(name__startswith="page/").latest("pk").pk,
        few_id=few_id,
        many_id=many_id,
    )


def clean() -> None:
    """Leave the tables as empty as other tests expect them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE counters_event, counters_lastwrite, rollups_bucket, rollups_sample,"
            " rollups_sweep, rollups_failure, rollups_process, counters_namespace CASCADE"
        )


def _counter(namespace: Namespace, name: str, kept: int) -> int:
    counter_id = Counter.objects.create(namespace=namespace, name=name).pk
    with connection.cursor() as cursor:
        cursor.execute(_EVENTS, [counter_id, kept])
        cursor.execute(_FOLDED, [kept, kept, counter_id])
        cursor.execute(_EVENTS, [counter_id, TO_FOLD])
        cursor.execute(_LAST_WRITE, [counter_id])
    return counter_id


def _fill(*, counters: int, events: int, pending: int) -> None:
    """Write all rows in several transactions, and gather statistics.

    `pending` counters, the busiest of them, have events that no fold has covered.
    """
    now = datetime.now(UTC)
    create.make(now - DAYS * timedelta(days=1), now)
    size = {"counters": counters, "namespaces": NAMESPACES}
    _execute(_NAMESPACES, size)
    _execute(_COUNTERS, size)
    for day in range(DAYS):
        until = now - day * timedelta(days=1)
        _execute(_SPREAD_EVENTS, size | {"events": events // DAYS, "until": until})
    _execute(_ROLLUPS)
    _execute(_BUCKETS)
    _execute(_PENDING, {"pending": pending, "slots": SLOTS})
    for statement in (_SAMPLES, _SWEEPS, _FAILURES, _PROCESSES):
        _execute(statement)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("RESET statement_timeout")


def _execute(statement: str, parameters: dict[str, Any] | None = None) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        # Nobody reads it before it is all there; a sort of all events has its room.
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute("SET LOCAL work_mem = '512MB'")
        cursor.execute(statement, parameters or {})
