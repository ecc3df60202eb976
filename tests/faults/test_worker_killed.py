"""A worker that is killed in the middle of a fold."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction

from counters import events
from counters.models import LastWrite, Namespace
from rollups.folding import sweep
from rollups.folding.fold import fold
from rollups.models import Bucket, Rollup
from rollups.trigger import request
from tests import programs
from tests.servers import Servers

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


def backends_waiting_for_a_lock() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return int(cursor.fetchone()[0])


def other_backends() -> int:
    # pg_stat_activity is as of the transaction's first look; here each look is its own.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def test_fold__killed_half_way_counts_nothing_twice_and_loses_nothing(
    committed_namespace: Namespace, servers: Servers, tmp_path: Path
) -> None:
    programs.purge(servers.broker_url)
    counter_id = events.add(namespace="test", name="hits", delta=5).counter_id
    fold([counter_id])
    events.add(namespace="test", name="hits", delta=7)
    before = other_backends()
    # Locked before the worker starts: the message of the add above is in the queue, and
    # whichever message it takes first, its fold comes to wait here.
    with transaction.atomic(), connection.cursor() as cursor:
        # The whole table: the second event's minute may be another, and its bucket new.
        cursor.execute("LOCK TABLE rollups_bucket IN EXCLUSIVE MODE")
        with programs.worker(servers.broker_url, tmp_path / "worker.log") as worker:
            assert request.request([counter_id]) == 1
            programs.wait_until(backends_waiting_for_a_lock, "no fold began")
            programs.kill_group(worker)
    programs.wait_until(
        lambda: other_backends() == before, "the killed worker's fold goes on"
    )

    rollup = Rollup.objects.get()
    assert (int(rollup.total), rollup.events) == (5, 1)
    assert LastWrite.objects.count() == 1

    [waiting] = sweep.select_pending(grace=timedelta(0), most=10)
    fold([waiting.counter_id])
    rollup.refresh_from_db()
    assert (int(rollup.total), rollup.events) == (12, 2)
    assert sum(int(bucket.delta) for bucket in Bucket.objects.all()) == 12
    assert not LastWrite.objects.exists()
