"""Workers, beats and their broker go away and come back: every pending counter is folded.

The bounds that docs/operations.md states are held here as events: folded by the trigger
alone, by the sweep alone, from the queue, by a command without any broker.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import time_machine
from celery import current_app
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from kombu import Connection

from counters import events
from counters.models import Event, LastWrite, Namespace
from rollups.folding.drain import drain
from rollups.models import Rollup, Sweep
from rollups.worker.beat import SteadyScheduler
from tests import programs
from tests.factories import open_transaction
from tests.faults.brokers import OwnBroker, OwnValkey
from tests.faults.conftest import (
    GROUPS,
    Publishing,
    adds_up,
    breakable,
    empty,
    wait_until_settled,
)
from tests.programs import wait_until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.own_brokers,
    pytest.mark.django_db(transaction=True),
]
OFTEN = {"ROLLUPS_SWEEP_PERIOD_SECONDS": "0.4", "ROLLUPS_SWEEP_GRACE_SECONDS": "0.1"}
ACKNOWLEDGES = {
    "DJANGO_SETTINGS_MODULE": "tests.faults.pickle_settings",
    # Without this Celery does not unpickle as root.
    "C_FORCE_ROOT": "1",
}
COUNTERS = 20
OUTAGE_SECONDS = 60 if "LONG_TESTS" in os.environ else 2


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def add(adds: int = 100) -> None:
    for number in range(adds):
        events.add(namespace="test", name=f"c{number % COUNTERS}")


def all_folded() -> bool:
    if LastWrite.objects.exists():
        return False
    totals = Rollup.objects.values_list("total", flat=True)
    return sum(int(total) for total in totals) == Event.objects.count()


def more_sweeps_than(count: int) -> bool:
    return Sweep.objects.count() > count


def add_together() -> None:
    """One event of each counter, in one transaction and so one trigger."""
    events.add_many(
        [events.NewEvent("test", f"c{number}") for number in range(COUNTERS)]
    )


def locked_buckets() -> AbstractContextManager[None]:
    """Another connection holds all buckets: a new minute's too."""
    return open_transaction("LOCK TABLE rollups_bucket IN EXCLUSIVE MODE")


def backends_of_workers_in_a_lock() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND application_name = 'counters-worker' AND datname = current_database()"
        )
        return int(cursor.rowcount)


def terminate_backends_of_workers() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'counters-worker'"
            " AND datname = current_database()"
        )
        return int(cursor.rowcount)


@contextmanager
def stopped_worker(url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that was ready, and takes nothing until it is told to go on."""
    empty(url)
    with programs.worker(url, log, **OFTEN) as worker:
        os.killpg(worker.pid, signal.SIGSTOP)
        yield worker


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kind", "names"), GROUPS, ids=[",".join([kind, *names]) for kind, names in GROUPS]
)
def test_service__folds_everything_after_its_broker_was_away(
    committed_namespace: Namespace,
    request: pytest.FixtureRequest,
    kind: str,
    names: list[str],
    publishing_to: Publishing,
    stack: ExitStack,
    tmp_path: Path,
) -> None:
    """Worker and beat run all along; nothing is restarted but the broker."""
    broker: OwnBroker = request.getfixturevalue(kind)
    url, outages = stack.enter_context(breakable(broker, names))
    log = tmp_path / "worker.log"
    worker = stack.enter_context(programs.worker(url, log, **OFTEN))
    beat = stack.enter_context(programs.beat(url, tmp_path / "beat.log", **OFTEN))
    made = stack.enter_context(publishing_to(url))
    add()
    wait_until(all_folded, "the healthy service does not fold")

    for name in names:
        with outages[name]:
            # Decides nothing; worker and beat are to meet the sick broker.
            until = time.monotonic() + OUTAGE_SECONDS
            while time.monotonic() < until:
                add()

        add()
        wait_until(all_folded, f"not folded after it was {name}: {tmp_path}")
        swept = Sweep.objects.count()
        wait_until(
            partial(more_sweeps_than, swept),
            f"the sweeps do not go on after it was {name}",
        )
        wait_until_settled(made)
        assert adds_up(made), name
        assert worker.poll() is None, name
        assert beat.poll() is None, name


def test_worker__folds_what_waits_in_a_broker_that_is_full(
    committed_namespace: Namespace,
    valkey: OwnValkey,
    publishing_to: Publishing,
    stack: ExitStack,
    tmp_path: Path,
) -> None:
    """To take a trigger needs no room: nothing is noted of it."""
    log = tmp_path / "worker.log"
    worker = stack.enter_context(stopped_worker(valkey.url, log))
    with publishing_to(valkey.url) as made:
        add()
        wait_until_settled(made)

    with valkey.out_of_memory():
        os.killpg(worker.pid, signal.SIGCONT)
        wait_until(all_folded, f"not folded while it was full: {log}")
    assert worker.poll() is None


@pytest.mark.parametrize("project", [{}, ACKNOWLEDGES], ids=["service", "project"])
def test_worker__that_loses_its_broker_while_a_message_waits_in_it_goes_on(
    committed_namespace: Namespace,
    valkey: OwnValkey,
    stack: ExitStack,
    tmp_path: Path,
    project: dict[str, str],
) -> None:
    """As re-enqueued ones do: fetched, not due yet, and not acknowledged."""
    empty(valkey.url)
    log = tmp_path / "worker.log"
    worker = stack.enter_context(programs.worker(valkey.url, log, **OFTEN, **project))
    with Connection(valkey.url) as broker:
        sent = current_app.send_task(
            "rollups.rollup", args=[[]], countdown=600, connection=broker
        )
    received = f"rollups.rollup[{sent.id}] received"
    wait_until(lambda: received in log.read_text(), "the message was not fetched")

    with valkey.killed():
        wait_until(lambda: "broker lost" in log.read_text(), "it noticed nothing")
    add()
    log = tmp_path / "beat.log"
    stack.enter_context(programs.beat(valkey.url, log, **OFTEN))

    wait_until(all_folded, f"not folded after the broker was back: {tmp_path}")
    assert worker.poll() is None


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


def test_workers__that_were_down_for_longer_than_messages_last_fold_by_the_sweep(
    committed_namespace: Namespace,
    own_broker: OwnBroker,
    publishing_to: Publishing,
    stack: ExitStack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rollups.trigger.broker.EXPIRES_SECONDS", 0.001)
    with publishing_to(own_broker.url) as made:
        add()
        wait_until_settled(made)
        assert made.counts.published

    log = tmp_path / "worker.log"
    stack.enter_context(programs.worker(own_broker.url, log, **OFTEN))
    log = tmp_path / "beat.log"
    stack.enter_context(programs.beat(own_broker.url, log, **OFTEN))

    wait_until(all_folded, "the sweeps did not heal")
    wait_until(lambda: _healed() == COUNTERS, "what was healed is not on record")


@pytest.mark.parametrize("how", ["killed", "child_killed", "disconnected"])
def test_worker__lost_in_the_middle_of_a_fold_is_made_up_for_by_the_sweep(
    committed_namespace: Namespace,
    own_broker: OwnBroker,
    publishing_to: Publishing,
    stack: ExitStack,
    tmp_path: Path,
    how: str,
) -> None:
    add()
    list(drain())
    log = tmp_path / "worker.log"
    worker = stack.enter_context(programs.worker(own_broker.url, log))
    # The fold has locked its rollups when it comes to wait for the buckets.
    with locked_buckets():
        with publishing_to(own_broker.url) as made:
            add_together()
            wait_until_settled(made)
        wait_until(backends_of_workers_in_a_lock, "no fold began")
        if how == "killed":
            programs.kill_group(worker)
        elif how == "child_killed":
            [child] = psutil.Process(worker.pid).children()
            child.kill()
        else:
            assert terminate_backends_of_workers()
    wait_until(lambda: not backends_of_workers_in_a_lock(), "the fold goes on")

    if how == "killed":
        log = tmp_path / "next worker.log"
        stack.enter_context(programs.worker(own_broker.url, log, **OFTEN))
    log = tmp_path / "beat.log"
    stack.enter_context(programs.beat(own_broker.url, log, **OFTEN))
    wait_until(all_folded, "the sweeps did not heal")
    wait_until(lambda: _healed() == COUNTERS, "what was healed is not on record")


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

    assert terminate_backends_of_workers()
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


@pytest.mark.parametrize("hours", [-1, 1])
def test_service__folds_everything_after_a_clock_was_stepped(
    committed_namespace: Namespace,
    own_broker: OwnBroker,
    stack: ExitStack,
    tmp_path: Path,
    hours: int,
) -> None:
    """PostgreSQL's and beat's, seen from after the step; every trigger is lost."""
    step = timedelta(hours=hours)
    add()
    list(drain())
    add()
    Sweep.objects.create(swept_at=Now(), pending=0)
    Rollup.objects.update(watermark_at=F("watermark_at") - step)
    LastWrite.objects.update(pending_since=F("pending_since") - step)
    Sweep.objects.update(swept_at=F("swept_at") - step)
    log = tmp_path / "beat.log"
    with time_machine.travel(datetime.now(UTC) - step):
        schedule = str(log.with_suffix(".schedule"))
        SteadyScheduler(current_app, schedule_filename=schedule).close()

    beat = stack.enter_context(programs.beat(own_broker.url, log, **OFTEN))
    log = tmp_path / "worker.log"
    stack.enter_context(programs.worker(own_broker.url, log, **OFTEN))

    wait_until(all_folded, "the sweeps did not heal")
    assert beat.poll() is None


def test_beats__two_at_once_sweep_no_more_often_than_is_said(
    committed_namespace: Namespace,
    own_broker: OwnBroker,
    stack: ExitStack,
    tmp_path: Path,
) -> None:
    """Every trigger is lost: the sweeps alone fold."""
    # Before there is a sweep: one that came between two adds would heal a counter twice.
    programs.add_in_another_process("redis://127.0.0.1:1/0", COUNTERS, 100)
    log = tmp_path / "worker.log"
    stack.enter_context(programs.worker(own_broker.url, log, **OFTEN))
    for number in range(2):
        log = tmp_path / f"beat {number}.log"
        stack.enter_context(programs.beat(own_broker.url, log, **OFTEN))

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

    call_command("counters", "rollup", verbosity=0)

    assert all_folded()
