"""Counters, events, last writes and a token: the rows that a benchmark starts from."""

from __future__ import annotations

from django.contrib.auth import get_user_model

from benchmarks.servers import execute
from counters.models import Namespace
from counters.namespaces import access, api_tokens
from rollups.folding import drain

COUNTERS = """
INSERT INTO counters_counter (namespace_id, name)
SELECT (SELECT id FROM counters_namespace WHERE name = 'bench'), 'c' || i
FROM generate_series(0, %s - 1) AS i
ON CONFLICT DO NOTHING
"""
ROLLUPS = """
INSERT INTO rollups_rollup (counter_id, namespace_id, watermark, watermark_at)
SELECT id, namespace_id, pg_current_snapshot(), now() FROM counters_counter
ON CONFLICT DO NOTHING
"""
EVENTS = """
INSERT INTO counters_event (counter_id, token, event_time, delta)
SELECT counter_id, gen_random_uuid(), now(), 1
FROM unnest(%s::bigint[]) AS counter_id, generate_series(1, %s)
"""
LAST_WRITES = """
INSERT INTO counters_lastwrite
  (counter_id, slot, written_at, pending_since, oldest_event_time, newest_event_time)
SELECT counter_id, 1, now(), now(), now() - interval '1 day', now() + interval '1 day'
FROM unnest(%s::bigint[]) AS counter_id
ON CONFLICT (counter_id, slot) DO UPDATE
SET xid = excluded.xid, written_at = excluded.written_at
"""


def create_namespace() -> None:
    Namespace.objects.get_or_create(name="bench")


def create_counters(counters: int) -> None:
    """Create `c0`, `c1`, ... in the namespace `bench`, each with a rollup."""
    execute(COUNTERS, [counters])
    execute(ROLLUPS)
    execute("VACUUM ANALYZE counters_counter, rollups_rollup")


def add_pending(counter_ids: list[int], events: int) -> None:
    """Append events to each counter, and mark the counters as pending."""
    execute(EVENTS, [counter_ids, events])
    execute(LAST_WRITES, [counter_ids])


def fold_all() -> None:
    """Fold what is pending, so that the next turn does not pay for this one."""
    for _ in drain.drain():
        pass


def api_token() -> str:
    """Create an API token that may write in `bench`."""
    get_user_model().objects.get_or_create(username="bench")
    access.grant(namespace="bench", to="bench", rights=["read", "write"])
    _, token = api_tokens.create(user="bench")
    return str(token)
