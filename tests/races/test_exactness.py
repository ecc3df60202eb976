"""Every rollup equals the truth, whatever the order of commits.

`tests/rollups/test_folding.py` holds the deterministic twins: one late commit, one late
rollback, one fold between another's look and lock.
"""

from __future__ import annotations

import pytest
from django.db import OperationalError

from counters.statements import load
from rollups.models import Rollup
from tests.conftest import Threads
from tests.races import workload

pytestmark = [
    pytest.mark.race,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers", "committed_namespace"),
]

# The rule that most rollup tables use: fold what happened since the last fold's time.
TIMESTAMP_RULE = """
WITH summed AS (
  SELECT event.counter_id, sum(event.delta) AS delta, count(*) AS events
  FROM counters_event AS event
  JOIN rollups_rollup AS rollup ON rollup.counter_id = event.counter_id
  WHERE event.counter_id = ANY (%(counter_ids)s::bigint[])
    AND event.event_time > coalesce(rollup.watermark_at, '-infinity')
  GROUP BY event.counter_id
)
UPDATE rollups_rollup AS rollup
SET total = total + summed.delta,
    events = rollup.events + summed.events,
    watermark = pg_current_snapshot(),
    watermark_at = statement_timestamp()
FROM summed
WHERE rollup.counter_id = summed.counter_id
RETURNING rollup.counter_id, summed.events
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_folds__are_exact_under_late_commits_and_rollbacks(
    threads: Threads, seed: int
) -> None:
    truth, totals = workload.run(threads, seed=seed)

    assert len(truth) == workload.COUNTERS
    assert totals == truth


def break_fold(monkeypatch: pytest.MonkeyPatch, statement: str, broken: str) -> None:
    def load_broken(app: str, name: str) -> str:
        return broken if name == statement else load(app, name)

    monkeypatch.setattr("counters.statements.load", load_broken)


def is_exact(threads: Threads) -> bool:
    try:
        truth, totals = workload.run(threads, seed=1)
    except OperationalError:
        # Folds that wait for each other may deadlock before they count wrong.
        return False
    return totals == truth


def test_workload__catches_a_timestamp_rule(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_fold(monkeypatch, "fold_events", TIMESTAMP_RULE)

    assert not is_exact(threads)


def test_workload__catches_folds_without_a_lock(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlocked = load("rollups", "lock_rollups").replace("FOR UPDATE SKIP LOCKED", "")
    break_fold(monkeypatch, "lock_rollups", unlocked)

    assert not is_exact(threads)


def test_workload__catches_last_writes_that_are_removed_too_early(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its check, the removal also takes writes that came after the fold."""
    hasty = load("rollups", "remove_settled").replace(
        "AND pg_visible_in_snapshot(last_write.xid, rollup.watermark)\n  FOR", "FOR"
    )
    assert hasty != load("rollups", "remove_settled")
    break_fold(monkeypatch, "remove_settled", hasty)

    assert not is_exact(threads)


def test_workload__folds_while_writers_are_open(threads: Threads) -> None:
    workload.run(threads, seed=3)

    assert Rollup.objects.filter(events__gt=0).count() == workload.COUNTERS
