"""A process is stopped in the middle of a transaction: SIGSTOP, a paused host."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from counters import events
from counters.db.transactions import IDLE_TIMEOUT
from counters.models import Namespace
from counters.namespaces import deletion
from counters.partitions import create
from rollups.folding import audit, cluster_identity, sweep
from rollups.folding.fold import fold
from rollups.models import Rollup
from rollups.reading import clear
from rollups.trigger import request
from tests import programs
from tests.faults.test_worker_killed import backends_waiting_for_a_lock
from tests.servers import Servers

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

FAR_DAY = datetime(2031, 1, 1, tzinfo=UTC)


def test_fold__stopped_half_way_holds_its_counters_for_a_bounded_time(
    committed_namespace: Namespace, servers: Servers, tmp_path: Path
) -> None:
    programs.purge(servers.broker_url)
    counter_id = events.add(namespace="test", name="hits", delta=5).counter_id
    fold([counter_id])
    events.add(namespace="test", name="hits", delta=7)
    with programs.worker(servers.broker_url, tmp_path / "worker.log") as worker:
        # As in test_fold__killed_half_way_counts_nothing_twice_and_loses_nothing.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE rollups_bucket IN EXCLUSIVE MODE")
            assert request.request([counter_id]) == 1
            programs.wait_until(backends_waiting_for_a_lock, "no fold began")
            os.killpg(worker.pid, signal.SIGSTOP)
        try:
            # Its statement ends now, and no process commits.
            assert fold([counter_id]).held == {counter_id}
            programs.wait_until(
                lambda: fold([counter_id]).events_of,
                "the stopped fold holds its counter",
            )
        finally:
            os.killpg(worker.pid, signal.SIGCONT)
        assert Rollup.objects.get().total == 12
        # It lost its connection meanwhile, and continues with another one.
        events.add(namespace="test", name="hits", delta=30)
        request.request([counter_id])
        programs.wait_until(
            lambda: Rollup.objects.get().total == 42, "the worker folds no more"
        )


def _everything(counter_id: int) -> dict[str, Callable[[], object]]:
    return {
        "fold": lambda: fold([counter_id]),
        "sweep": sweep.sweep,
        "repair": lambda: audit.repair([counter_id]),
        "audit": lambda: audit.audit_some([counter_id]),
        "reanchor": cluster_identity.reanchor,
        "clear": lambda: clear.clear(namespace="test", name="hits"),
        "make": lambda: create.make(FAR_DAY, FAR_DAY, now=FAR_DAY),
        "delete": lambda: deletion.delete_counter(
            namespace="test", name="hits", confirm="hits"
        ),
    }


@pytest.mark.usefixtures("triggers")
@pytest.mark.parametrize("name", _everything(0))
def test_transaction__of_ours_ends_when_its_process_falls_silent(
    committed_namespace: Namespace, name: str
) -> None:
    """The deterministic twin, for each transaction: it has the time-out when it holds a lock."""
    counter_id = events.add(namespace="test", name="hits").counter_id
    fold([counter_id])
    events.add(namespace="test", name="hits")
    seen: list[str] = []

    def look(execute: Callable[..., Any], *statement: Any) -> Any:
        result = execute(*statement)
        if connection.in_atomic_block:
            with connection.connection.cursor() as cursor:
                cursor.execute("SHOW idle_in_transaction_session_timeout")
                seen.append(cursor.fetchone()[0])
        return result

    try:
        with connection.execute_wrapper(look):
            _everything(counter_id)[name]()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS counters_event_20310101")

    assert set(seen) == {IDLE_TIMEOUT}
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("0",)
