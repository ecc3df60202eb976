"""A past day of many counters' events, its indexes half empty, as a busy day leaves them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from django.db import connection

from counters.partitions import create

DAY = datetime(2013, 2, 10, tzinfo=UTC)
PARTITION = "counters_event_20130210"
COUNTERS, EVENTS_EACH = 200, 300

# Each counter's transaction ids grow, as they do in time, so each entry comes right behind
# the counter's last one, in the middle of a page. Tokens are a client's own, without a time.
_FILL = """
INSERT INTO counters_event (counter_id, token, event_time, delta)
SELECT 1000000 + counter, md5(counter || ' ' || event)::uuid,
       %s::timestamptz + event * interval '1 minute', 1
FROM generate_series(%s::int, %s::int) AS event, generate_series(1, %s::int) AS counter
ORDER BY event, counter
"""
_STEP = 20


@contextmanager
def bloated_partition(*, analysed: bool = True) -> Iterator[None]:
    """Make the day's partition and fill it; drop it at the end."""
    create.make(DAY, DAY, now=DAY)
    try:
        with connection.cursor() as cursor:
            for first in range(0, EVENTS_EACH, _STEP):
                cursor.execute(_FILL, [DAY, first, first + _STEP - 1, COUNTERS])
            if analysed:
                cursor.execute(f"ANALYZE {PARTITION}")
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {PARTITION}")


def counted() -> int:
    """Return the partition's events, read through its indexes and nothing else."""
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute("SET enable_bitmapscan = off")
        try:
            cursor.execute(
                f"SELECT count(*) FROM {PARTITION} WHERE counter_id > 0"  # noqa: S608
            )
            [(events,)] = cursor.fetchall()
        finally:
            cursor.execute("RESET enable_seqscan")
            cursor.execute("RESET enable_bitmapscan")
    return int(events)
