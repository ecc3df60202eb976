"""What the plans are looked at on: counters by the hundred thousand, and two to compare.

Both have as much to fold; one has three hundred times as many events that are folded.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from benchmarks.pages import seeding
from counters.models import Counter, Namespace

COUNTERS, EVENTS, PENDING = 100_000, 300_000, 2_000
FEW, MANY = 1_000, 300_000
TO_FOLD = 1_000

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
    seeding.seed(counters=COUNTERS, events=EVENTS, pending=PENDING)
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
