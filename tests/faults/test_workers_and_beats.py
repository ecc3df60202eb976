"""Workers, beats and their broker go away and come back: every pending counter is folded.

The bounds that docs/operations.md states are held here as events: folded by the trigger
alone, by the sweep alone, from the queue, by a command without any broker.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from counters import recording
from counters.models import Event, LastWrite, Namespace
from rollups.models import Rollup, Sweep
from tests import programs
from tests.faults.brokers import OwnBroker
from tests.faults.conftest import Publishing, adds_up, wait_until_settled
from tests.programs import wait_until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.own_brokers,
    pytest.mark.django_db(transaction=True),
]
OFTEN = {"ROLLUPS_SWEEP_PERIOD_SECONDS": "0.4", "ROLLUPS_SWEEP_GRACE_SECONDS": "0.1"}
COUNTERS = 20


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def add(adds: int = 100) -> None:
    for number in range(adds):
        recording.add(namespace="test", name=f"c{number % COUNTERS}")


def all_folded() -> bool:
    if LastWrite.objects.exists():
        return False
    totals = Rollup.objects.values_list("total", flat=True)
    return sum(int(total) for total in totals) == Event.objects.count()


def test_service__folds_everything_after_its_broker_was_away(
    committed_namespace: Namespace,
    own_broker: OwnBroker,
    publishing_to: Publishing,
    stack: ExitStack,
    tmp_path: Path,
) -> None:
    """Worker and beat run all along; nothing is restarted but the broker."""
    worker = stack.enter_context(
        programs.worker(own_broker.url, tmp_path / "worker.log", **OFTEN)
    )
    beat = stack.enter_context(
        programs.beat(own_broker.url, tmp_path / "beat.log", **OFTEN)
    )
    made = stack.enter_context(publishing_to(own_broker.url))
    add()
    wait_until(all_folded, "the healthy service does not fold")

    with own_broker.killed():
        add()
        wait_until(lambda: made.breaker.is_open, "nothing was noticed")
        add()

    add()
    wait_until(all_folded, f"not folded after the broker was back: {tmp_path}")
    wait_until_settled(made)
    assert adds_up(made)
    assert worker.poll() is None
    assert beat.poll() is None


def test_workers__that_were_all_down_fold_from_the_queue(
    committed_namespace: Namespace,
    own_broker: OwnBroker,
    publishing_to: Publishing,
    stack: ExitStack,
    tmp_path: Path,
) -> None:
    """No beat: what waits in the queue is enough."""
    with publishing_to(own_broker.url) as made:
        add()
        wait_until_settled(made)
    assert not Rollup.objects.exists()

    stack.enter_context(programs.worker(own_broker.url, tmp_path / "worker.log"))

    wait_until(all_folded, "the queue was not folded")
    assert not Sweep.objects.exists()


def test_worker__that_loses_its_database_connection_goes_on(
    committed_namespace: Namespace,
    own_broker: OwnBroker,
    publishing_to: Publishing,
    stack: ExitStack,
    tmp_path: Path,
) -> None:
    stack.enter_context(programs.worker(own_broker.url, tmp_path / "worker.log"))
    made = stack.enter_context(publishing_to(own_broker.url))
    add()
    wait_until(all_folded, "the healthy worker does not fold")

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'counters-worker'"
            " AND datname = current_database()"
        )
        assert cursor.rowcount
    add()

    wait_until(all_folded, "the worker does not fold with a new connection")
    wait_until_settled(made)
    assert not Sweep.objects.exists()


def test_worker__that_was_stopped_goes_on(
    committed_namespace: Namespace,
    own_broker: OwnBroker,
    publishing_to: Publishing,
    stack: ExitStack,
    tmp_path: Path,
) -> None:
    worker = stack.enter_context(
        programs.worker(own_broker.url, tmp_path / "worker.log")
    )
    made = stack.enter_context(publishing_to(own_broker.url))
    os.killpg(worker.pid, signal.SIGSTOP)
    add()
    wait_until_settled(made)

    os.killpg(worker.pid, signal.SIGCONT)

    wait_until(all_folded, "the worker does not go on")


def test_beats__two_at_once_sweep_no_more_often_than_is_said(
    committed_namespace: Namespace,
    own_broker: OwnBroker,
    stack: ExitStack,
    tmp_path: Path,
) -> None:
    """Every trigger is lost: the sweeps alone fold."""
    log = tmp_path / "worker.log"
    stack.enter_context(programs.worker(own_broker.url, log, **OFTEN))
    for number in range(2):
        log = tmp_path / f"beat {number}.log"
        stack.enter_context(programs.beat(own_broker.url, log, **OFTEN))
    programs.add_in_another_process("redis://127.0.0.1:1/0", COUNTERS, 100)

    wait_until(all_folded, "the sweeps did not heal")
    wait_until(lambda: Sweep.objects.count() >= 6, "the sweeps do not go on")

    times = Sweep.objects.order_by("swept_at").values_list("swept_at", flat=True)
    assert all((b - a).total_seconds() > 0.199 for a, b in pairwise(times))
    wait_until(lambda: _healed() == COUNTERS, "what was healed is not on record")


def _healed() -> int:
    return sum(Sweep.objects.values_list("healed", flat=True))


def test_command__folds_everything_without_broker_worker_or_beat(
    committed_namespace: Namespace,
    publishing_to: Publishing,
) -> None:
    with publishing_to("redis://127.0.0.1:1/0"):
        add()

    call_command("rollup", verbosity=0)

    assert all_folded()
