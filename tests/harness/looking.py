"""Reads what the database holds when all is over, in one snapshot."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
import psycopg

from tests.harness.checks import State, StoredEvent, Sum
from tests.harness.postgres import OwnPostgres

# What becomes of a trigger that was asked for.
_FATES = ("coalesced", "published", "failed", "dropped", "waiting")
_TRIGGERS = re.compile(
    r"rollups_trigger_(?P<what>requested|coalesced|published|failed|dropped|waiting)"
    r"(_total)?(\{[^}]*\})? (?P<number>\S+)$"
)
_COUNTERS = """
  FROM counters_counter AS counter
  JOIN counters_namespace AS namespace ON namespace.id = counter.namespace_id
"""
_OF_NAMESPACE = " WHERE namespace.name = %s"
_EVENTS = f"""
SELECT counter.name, event.token, event.delta {_COUNTERS}
JOIN counters_event AS event ON event.counter_id = counter.id {_OF_NAMESPACE}
"""
_ROLLUPS = f"""
SELECT counter.name, rollup.total, rollup.events {_COUNTERS}
JOIN rollups_rollup AS rollup ON rollup.counter_id = counter.id {_OF_NAMESPACE}
"""
_BUCKETS = f"""
SELECT counter.name, sum(bucket.delta), sum(bucket.events) {_COUNTERS}
JOIN rollups_bucket AS bucket ON bucket.counter_id = counter.id {_OF_NAMESPACE}
GROUP BY counter.name
"""
_PENDING = f"""
SELECT DISTINCT counter.name {_COUNTERS}
JOIN counters_lastwrite AS last_write ON last_write.counter_id = counter.id
LEFT JOIN rollups_rollup AS rollup ON rollup.counter_id = counter.id {_OF_NAMESPACE}
AND NOT pg_visible_in_snapshot(last_write.xid, coalesce(rollup.watermark, '1:1:'))
"""


def pending(postgres: OwnPostgres, namespace: str) -> frozenset[str] | None:
    """Return the counters that wait for a fold; None while the database is down."""
    try:
        with postgres.connection() as connection:
            rows = connection.execute(_PENDING, [namespace]).fetchall()
    except psycopg.OperationalError:
        return None
    return frozenset(str(name) for (name,) in rows)


def is_quiet(postgres: OwnPostgres, namespace: str) -> bool:
    """Tell whether nothing waits for a fold, and no web process works on a statement."""
    try:
        with postgres.connection() as connection:
            busy = connection.execute(
                "SELECT FROM pg_stat_activity WHERE application_name = 'counters-web'"
                " AND state <> 'idle'"
            ).fetchall()
    except psycopg.OperationalError:
        return False
    return not busy and pending(postgres, namespace) == frozenset()


def state(postgres: OwnPostgres, namespace: str) -> State:
    with postgres.connection() as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

        def rows(query: str) -> list[Any]:
            return connection.execute(query, [namespace]).fetchall()

        return State(
            events=[
                StoredEvent(name, UUID(str(token)), int(delta))
                for name, token, delta in rows(_EVENTS)
            ],
            rollups=_sums(rows(_ROLLUPS)),
            buckets=_sums(rows(_BUCKETS)),
            pending=frozenset(name for (name,) in rows(_PENDING)),
        )


def sweeps(postgres: OwnPostgres) -> dict[str, int]:
    """Return how many sweeps there were, what they healed, and failures on record."""
    with postgres.connection() as connection:
        row = connection.execute(
            "SELECT count(*), coalesce(sum(healed), 0),"
            " (SELECT count(*) FROM rollups_failure) FROM rollups_sweep"
        ).fetchone()
    assert row is not None
    made, healed, quarantined = (int(str(figure)) for figure in row)
    return {"sweeps": made, "healed": healed, "quarantined": quarantined}


def triggers(urls: Sequence[str]) -> dict[str, int]:
    """Return what became of all triggers, by the metrics of every node.

    A process that is killed takes what waited in it along: that is the rest.
    """
    found: Counter[str] = Counter()
    for url in urls:
        for line in httpx.get(f"{url}/metrics", timeout=30).text.splitlines():
            if match := _TRIGGERS.match(line):
                found[match["what"]] += round(float(match["number"]))
    rest = found["requested"] - sum(found[what] for what in _FATES)
    named = ("requested", *_FATES)
    return {f"triggers {what}": found[what] for what in named} | {
        "triggers lost with killed processes": rest
    }


def _sums(rows: list[Any]) -> dict[str, Sum]:
    return {name: Sum(int(total), int(events)) for name, total, events in rows}
