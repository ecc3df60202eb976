"""Events by the million, in the tables as adds would have left them."""

from __future__ import annotations

from benchmarks.ground import execute

EVENTS = """
INSERT INTO counters_event (counter_id, token, event_time, delta)
SELECT %s, gen_random_uuid(), now(), 1 FROM generate_series(1, %s)
"""
LAST_WRITE = """
INSERT INTO counters_lastwrite
  (counter_id, slot, written_at, pending_since, oldest_event_time, newest_event_time)
VALUES (%s, 1, now(), now(), now() - interval '1 day', now() + interval '1 day')
ON CONFLICT (counter_id, slot) DO UPDATE
SET xid = excluded.xid, written_at = excluded.written_at
"""


def add_events(counter_id: int, events: int) -> None:
    """Append so many events of now, in one statement."""
    execute(EVENTS, [counter_id, events])


def mark_pending(counter_id: int) -> None:
    """Write the last write that goes with them."""
    execute(LAST_WRITE, [counter_id])
