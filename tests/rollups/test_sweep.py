from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from pytest_django import Settings

from counters import events as recording
from counters.models import LastWrite, Namespace
from rollups.folding import bisect, sweep
from rollups.folding.drain import Drained, drain
from rollups.folding.fold import fold
from rollups.models import Failure, Rollup, Sweep
from rollups.monitor.status import measure, measure_lag

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _no_grace(settings: Settings) -> None:
    settings.ROLLUPS_SWEEP_GRACE_SECONDS = 0


def age(counter_id: int, by: timedelta) -> None:
    """Make a counter's last writes older."""
    for last_write in LastWrite.objects.filter(counter_id=counter_id):
        LastWrite.objects.filter(pk=last_write.pk).update(
            pending_since=last_write.pending_since - by
        )


def test_sweep__enqueues_what_no_trigger_reached(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    pending = recording.add(namespace="test", name="pending").counter_id
    folded = recording.add(namespace="test", name="folded").counter_id
    fold([folded])
    triggers.clear()

    swept = sweep.sweep()

    assert swept is not None
    assert triggers == [[pending]]
    assert (swept.pending, swept.overdue, swept.enqueued) == (1, (pending,), 1)


def test_sweep__records_what_it_found(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    old = recording.add(namespace="test", name="old").counter_id
    age(old, timedelta(minutes=3))
    recording.add(namespace="test", name="new")

    sweep.sweep()

    record = Sweep.objects.get()
    assert (record.pending, record.overdue, record.healed) == (2, 2, 0)
    assert record.oldest_lag is not None
    assert timedelta(minutes=3) <= record.oldest_lag < timedelta(minutes=4)


def test_sweep__leaves_a_counter_within_the_grace_to_its_own_trigger(
    committed_namespace: Namespace, triggers: list[list[int]], settings: Settings
) -> None:
    settings.ROLLUPS_SWEEP_GRACE_SECONDS = 60
    late = recording.add(namespace="test", name="late").counter_id
    early = recording.add(namespace="test", name="early").counter_id
    age(late, timedelta(seconds=61))
    age(early, timedelta(seconds=50))
    triggers.clear()

    swept = sweep.sweep()

    assert swept is not None
    assert (swept.pending, swept.overdue) == (2, (late,))
    assert triggers == [[late]]


def test_sweep__finds_a_fold_that_crashed_before_it_tidied_up(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counter_id = recording.add(namespace="test", name="hits").counter_id
    [left] = LastWrite.objects.all()
    fold([counter_id])
    left.save(force_insert=True)
    triggers.clear()

    sweep.sweep()
    assert triggers == [[counter_id]]
    fold([counter_id])

    assert not LastWrite.objects.exists()
    assert Rollup.objects.get().total == 1


def test_sweep__runs_once_at_a_time(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    recording.add(namespace="test", name="hits")
    triggers.clear()
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute(
                "SELECT pg_try_advisory_xact_lock(hashtext('rollups.sweep'))"
            )

        assert sweep.sweep() is None
        assert triggers == []
        assert not Sweep.objects.exists()

        other.rollback()
    finally:
        other.close()
    assert sweep.sweep() is not None


def test_sweep__of_a_second_beat_finds_that_one_has_just_been(
    committed_namespace: Namespace, triggers: list[list[int]], settings: Settings
) -> None:
    settings.ROLLUPS_SWEEP_PERIOD_SECONDS = 60
    assert sweep.sweep() is not None

    assert sweep.sweep() is None

    Sweep.objects.update(swept_at=Now() - timedelta(seconds=29))
    assert sweep.sweep() is None
    Sweep.objects.update(swept_at=Now() - timedelta(seconds=31))
    assert sweep.sweep() is not None


def test_sweep__goes_on_when_the_clock_was_set_back(
    committed_namespace: Namespace, triggers: list[list[int]], settings: Settings
) -> None:
    """By an hour, in three ways: what it read last, waits for, and folded is ahead."""
    settings.ROLLUPS_SWEEP_GRACE_SECONDS = 60
    hour = timedelta(hours=1)
    waits = recording.add(namespace="test", name="waits").counter_id
    folded = recording.add(namespace="test", name="folded").counter_id
    fold([folded])
    Rollup.objects.update(watermark_at=Now() + hour)
    age(waits, -hour)
    recording.add(namespace="test", name="folded")
    age(folded, timedelta(minutes=2))
    Sweep.objects.create(swept_at=Now() + hour, pending=0)
    triggers.clear()

    swept = sweep.sweep()

    assert swept is not None
    assert swept.overdue == (waits, folded)
    assert triggers == [[waits, folded]]
    lag = measure_lag()
    assert lag.pending == 2
    assert timedelta(minutes=59) < lag.oldest <= hour
    status = measure()
    assert status.lag_seconds > 59 * 60
    assert status.last_sweep_age_seconds is not None
    assert 0 <= status.last_sweep_age_seconds < 60
    assert fold([waits, folded]).lag_of[waits] > timedelta(minutes=59)


def test_failure__from_before_the_clock_was_set_back_is_tried_again(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    counter_id = recording.add(namespace="test", name="hits").counter_id
    assert counter_id is not None
    bisect.quarantine(counter_id, ValueError("broken"))
    assert sweep.select_pending(grace=timedelta(0), most=10) == []
    ahead = Now() + timedelta(hours=1)
    Failure.objects.update(failed_at=ahead, next_try_at=ahead)

    [waiting] = sweep.select_pending(grace=timedelta(0), most=10)

    assert waiting.counter_id == counter_id
    assert fold([counter_id]).events == 1


def test_sweep__takes_the_longest_waiting_within_its_bound(
    committed_namespace: Namespace, triggers: list[list[int]], settings: Settings
) -> None:
    settings.ROLLUPS_SWEEP_COUNTERS = 2
    ids = [recording.add(namespace="test", name=f"c{i}").counter_id for i in range(4)]
    for minutes, counter_id in enumerate(ids):
        age(counter_id, timedelta(minutes=minutes))

    swept = sweep.sweep()

    assert swept is not None
    assert swept.overdue == (ids[3], ids[2])


def test_sweep__sends_bounded_messages_that_expire_with_its_period(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.ROLLUPS_SWEEP_PERIOD_SECONDS = 7
    recording.add_many([recording.NewEvent("test", f"c{i}") for i in range(1_200)])
    sent: list[tuple[int, dict[str, Any]]] = []
    monkeypatch.setattr(
        "rollups.trigger.publisher.Publisher.publish",
        lambda _, ids, **options: sent.append((len(ids), options)),
    )

    swept = sweep.sweep()

    assert swept is not None
    assert swept.enqueued == 1_200
    assert [counters for counters, _ in sent] == [500, 500, 200]
    assert {options["expires_seconds"] for _, options in sent} == {7}


def test_sweep__stops_sending_when_the_broker_fails(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording.add_many([recording.NewEvent("test", f"c{i}") for i in range(1_200)])
    tries: list[int] = []

    def fail(*_: object, **__: object) -> None:
        tries.append(1)
        raise ConnectionError

    monkeypatch.setattr("rollups.trigger.publisher.Publisher.publish", fail)

    swept = sweep.sweep()

    assert swept is not None
    assert (len(swept.overdue), swept.enqueued, len(tries)) == (1_200, 0, 1)


def test_lost_triggers__are_healed_by_one_sweep_and_a_fold(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every trigger is dropped; what the sweep enqueues is folded."""
    monkeypatch.setattr("rollups.receivers.request.request", lambda _: 0)
    truth = {f"c{i}": 0 for i in range(50)}
    for number in range(500):
        name = f"c{number % 50}"
        truth[name] += number
        recording.add(namespace="test", name=name, delta=number)
    assert not Rollup.objects.exists()
    enqueued: list[int] = []
    monkeypatch.undo()
    monkeypatch.setattr(
        "rollups.trigger.publisher.Publisher.publish",
        lambda _, ids, **__: enqueued.extend(ids),
    )

    sweep.sweep()
    fold(enqueued)

    totals = dict(Rollup.objects.values_list("counter__name", "total"))
    assert totals == truth


def test_drain__folds_everything_without_a_broker(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    recording.add_many([recording.NewEvent("test", f"c{i}", 2) for i in range(1_100)])

    steps = list(drain())

    assert [step.counters for step in steps] == [500, 500, 100]
    assert not LastWrite.objects.exists()
    assert list(drain()) == []


def test_drain__ends_where_another_fold_holds_everything(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    counter_id = recording.add(namespace="test", name="hits").counter_id
    Rollup.objects.create(
        counter_id=counter_id, namespace_id=Namespace.objects.get().pk
    )
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT FROM rollups_rollup FOR UPDATE")
        assert list(drain()) == []
        other.rollback()
    finally:
        other.close()


def test_drain__ends_while_a_writer_holds_its_last_write(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    recording.add(namespace="test", name="hits")
    recording.add(namespace="test", name="other")
    writer = connection.copy()
    writer.set_autocommit(False)
    try:
        with writer.cursor() as cursor:
            # As an add in a transaction that stays open: the row outlives its fold.
            cursor.execute("SELECT FROM counters_lastwrite FOR UPDATE")
        steps = list(islice(drain(), 5))
        writer.rollback()
    finally:
        writer.close()

    assert steps == [Drained(counters=2, events=2)]


def test_drain__ends_while_a_counter_is_written_on_and_on(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    recording.add(namespace="test", name="busy")
    steps = []

    for step in islice(drain(), 5):
        steps.append(step)
        recording.add(namespace="test", name="busy")

    assert steps == [Drained(counters=1, events=1)]
    assert list(drain()) == [Drained(counters=1, events=1)]


def test_measure__is_the_later_of_pending_since_and_watermark(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    rollup_of: Callable[[str], Rollup],
) -> None:
    assert (measure_lag().pending, measure_lag().oldest) == (0, timedelta(0))
    hot = recording.add(namespace="test", name="hot").counter_id
    age(hot, timedelta(hours=1))
    assert measure_lag().oldest >= timedelta(hours=1)
    [left] = LastWrite.objects.all()
    fold([hot])
    with transaction.atomic():
        recording.add(namespace="test", name="hot")
    LastWrite.objects.update(pending_since=left.pending_since)

    lag = measure_lag()

    assert lag.pending == 1
    assert timedelta(0) < lag.oldest < timedelta(minutes=1)
