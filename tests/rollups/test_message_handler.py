"""What a worker does with a message: folds, re-enqueues, quarantines, counts the healed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.db import OperationalError, connection
from pytest_django import Settings

from counters import events as recording
from counters.db.statements import load
from counters.models import LastWrite
from rollups.folding import bisect, sweep
from rollups.folding.bisect import fold_each
from rollups.folding.fold import fold
from rollups.models import Bucket, Failure, Rollup, Sweep
from rollups.trigger.publisher import Publisher
from rollups.worker import tasks
from rollups.worker.message_handler import work
from rollups.worker.tasks import rollup

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers", "committed_namespace"),
]
BROKEN = 10**40 - 1


@pytest.fixture(autouse=True)
def _nothing_claimed() -> None:
    cache.clear()


@pytest.fixture
def sweep_id(settings: Settings) -> int:
    settings.ROLLUPS_SWEEP_GRACE_SECONDS = 10
    return Sweep.objects.create(swept_at="2020-01-01T00:00Z", pending=0).pk


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], dict[str, Any]]]:
    """The messages that are published, and their options."""
    messages: list[tuple[list[int], dict[str, Any]]] = []
    monkeypatch.setattr(
        Publisher,
        "publish",
        lambda _, ids, **options: messages.append((ids, options)),
    )
    return messages


def add(name: str, delta: int = 1) -> int:
    counter_id = recording.add(namespace="test", name=name, delta=delta).counter_id
    assert counter_id is not None
    return counter_id


def age(by: timedelta) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE counters_lastwrite SET pending_since = pending_since - %s::interval",
            [str(by)],
        )


def break_counter(name: str) -> int:
    """Leave no room in the counter's total for one more."""
    counter_id = add(name, 0)
    fold([counter_id])
    Rollup.objects.filter(counter_id=counter_id).update(total=BROKEN)
    add(name)
    return counter_id


def test_work__folds() -> None:
    counter_id = add("hits")

    assert work([counter_id]) == []

    assert Rollup.objects.get().total == 1


@contextmanager
def holding(counter_id: int) -> Iterator[None]:
    """Hold the counter as a fold in another connection does."""
    Rollup.objects.get_or_create(counter_id=counter_id, namespace_id=1)
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute(
                load("rollups", "lock_rollups"), {"counter_ids": [counter_id]}
            )
        yield
        other.rollback()
    finally:
        other.close()


@pytest.fixture
def held() -> Iterator[int]:
    """A counter that another fold holds throughout the test."""
    counter_id = add("held")
    with holding(counter_id):
        yield counter_id


@pytest.mark.parametrize(("reenqueued", "pause"), [(False, 0.025), (True, 0.2)])
def test_work__reenqueues_what_another_fold_holds(
    reenqueued: bool,
    pause: float,
    held: int,
    sent: list[tuple[list[int], dict[str, Any]]],
) -> None:
    other = add("other")

    assert work([held, other], reenqueued=reenqueued) == [held]

    assert sent == [
        (
            [held],
            {
                "expires_seconds": None,
                "countdown_seconds": pause,
                "reenqueued": True,
                "sweep_id": None,
            },
        )
    ]
    assert Rollup.objects.get(counter_id=other).total == 1


def test_held_counter__has_one_reenqueued_message_at_a_time(held: int) -> None:
    """However many triggers name it, and however many workers get them."""
    reenqueued = []
    for _ in range(50):
        reenqueued += work([held])
        add("held")

    assert reenqueued == [held]
    assert work([held], reenqueued=True) == [held]


def test_held_counter__is_released_before_its_fold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fold does not see what a trigger names that comes after its snapshot."""
    counter_id = add("hits")
    with holding(counter_id):
        work([counter_id])
    late: list[int] = []

    def trigger_late(*args: Any, **options: Any) -> Any:
        done = fold_each(*args, **options)
        patch.undo()
        add("hits")
        with holding(counter_id):
            late.extend(work([counter_id]))
        return done

    with monkeypatch.context() as patch:
        patch.setattr("rollups.worker.message_handler.fold_each", trigger_late)
        work([counter_id], reenqueued=True)

    assert late == [counter_id]


def test_claim__lasts_also_in_the_memory_of_one_process(
    held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "rollups.worker.message_handler.cache", LocMemCache("claims", {})
    )

    assert work([held]) == [held]
    assert work([held]) == []


@pytest.mark.parametrize("call", ["get_many", "set_many", "delete_many"])
def test_held_counter__is_left_to_the_sweep_where_the_cache_fails(
    held: int, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No storm, however many messages find the counter held, and no error."""

    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no cache")

    monkeypatch.setattr(f"rollups.worker.message_handler.cache.{call}", fail)

    reenqueued = [one for _ in range(10) for one in work([held])]
    work([held], reenqueued=True)

    assert reenqueued == ([held] if call == "delete_many" else [])


def test_work__releases_the_claim_of_what_it_cannot_enqueue(
    held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "publish", fail)
        assert work([held]) == []

    assert work([held]) == [held]


def test_failing_counter__does_not_hold_up_its_batch() -> None:
    broken = break_counter("broken")
    others = [add(f"c{i}") for i in range(20)]

    work([*others[:7], broken, *others[7:]])

    totals = dict(Rollup.objects.values_list("counter_id", "total"))
    assert totals == {broken: BROKEN} | dict.fromkeys(others, 1)
    failure = Failure.objects.get()
    assert failure.counter_id == broken
    assert "DataError" in failure.error
    assert failure.next_try_at - failure.failed_at == bisect.FIRST_PAUSE


def test_lost_connection__is_no_counters_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    counter_id = add("hits")

    def lose(_: object) -> dict[int, int]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return {}

    monkeypatch.setattr("rollups.folding.fold._fold_locked", lose)
    with pytest.raises(OperationalError):
        work([counter_id])
    monkeypatch.undo()

    assert not Failure.objects.exists()
    assert work([counter_id]) == []
    assert Rollup.objects.get().total == 1


@pytest.mark.parametrize(
    ("task", "missing"),
    [
        (rollup, "rollups_bucket"),
        (tasks.sweep, "rollups_sweep"),
        (tasks.make_partitions, "counters_claim"),
        (tasks.close_partitions, "counters_namespace"),
        (tasks.reindex_partitions, "counters_event"),
    ],
)
def test_task__says_in_one_line_that_migrations_are_missing(
    task: Callable[..., None], missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No counter is at fault, and no traceback is logged."""
    counters = [add("a", 2), add("b", 3)]
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {missing} RENAME TO hidden")
        try:
            task(*[counters] if task is rollup else [])
        finally:
            cursor.execute(f"ALTER TABLE hidden RENAME TO {missing}")

    [record] = [one for one in caplog.records if one.levelname == "ERROR"]
    assert f'run `manage.py migrate`. (relation "{missing}" does not exist)' in (
        record.message
    )
    assert record.exc_info is None
    assert not Failure.objects.exists()


def test_failing_counter__is_left_out_until_its_next_try(settings: Settings) -> None:
    settings.ROLLUPS_SWEEP_GRACE_SECONDS = 0
    broken = break_counter("broken")
    work([broken])

    work([broken])
    swept = sweep.sweep()

    assert Failure.objects.get().attempts == 1
    assert swept is not None
    assert swept.overdue == ()


def test_failing_counter__is_tried_later_and_later(settings: Settings) -> None:
    broken = break_counter("broken")
    pauses = []
    for _ in range(12):
        work([broken])
        failure = Failure.objects.get()
        pauses.append(failure.next_try_at - failure.failed_at)
        Failure.objects.update(next_try_at=failure.failed_at)

    expected = [min(bisect.FIRST_PAUSE * 2**i, bisect.LONGEST_PAUSE) for i in range(12)]
    assert pauses == expected
    assert Failure.objects.get().attempts == 12


def test_failing_counter__is_forgotten_once_it_is_folded(settings: Settings) -> None:
    settings.ROLLUPS_SWEEP_GRACE_SECONDS = 0
    broken = break_counter("broken")
    work([broken])
    Rollup.objects.update(total=5)
    Failure.objects.update(next_try_at="2020-01-01T00:00Z")

    swept = sweep.sweep()
    assert swept is not None
    assert swept.overdue == (broken,)
    work([broken])

    assert Rollup.objects.get().total == 6
    assert not Failure.objects.exists()


def test_failures__of_counters_that_are_not_pending_are_forgotten_by_the_sweep() -> (
    None
):
    bisect.quarantine(987, ValueError("gone"))

    sweep.sweep()

    assert not Failure.objects.exists()


def test_healed__counts_what_the_sweep_had_to_fold(sweep_id: int) -> None:
    old = add("old")
    age(timedelta(seconds=11))
    new = add("new")

    work([old, new], sweep_id=sweep_id)

    assert Sweep.objects.get().healed == 1


def test_healed__does_not_count_what_a_late_trigger_folded_first(sweep_id: int) -> None:
    counter_id = add("hits")
    age(timedelta(minutes=5))

    work([counter_id])
    work([counter_id], sweep_id=sweep_id)

    assert Sweep.objects.get().healed == 0
    assert Rollup.objects.get().total == 1


def test_healed__does_not_count_what_came_after_a_late_triggers_fold(
    sweep_id: int, settings: Settings
) -> None:
    counter_id = add("hits")
    age(timedelta(minutes=5))
    work([counter_id])
    add("hits")

    work([counter_id], sweep_id=sweep_id)

    assert Sweep.objects.get().healed == 0
    assert Rollup.objects.get().total == 2


def test_healed__does_not_count_a_counter_whose_fold_failed(sweep_id: int) -> None:
    broken = break_counter("broken")
    age(timedelta(minutes=5))
    work([broken])
    Rollup.objects.update(total=5, watermark_at="2020-01-01T00:00Z")
    Failure.objects.update(next_try_at="2020-01-01T00:00Z")

    work([broken], sweep_id=sweep_id)

    assert Sweep.objects.get().healed == 0
    assert Rollup.objects.get().total == 6


def test_healed__counts_once_what_is_folded_in_parts(
    sweep_id: int,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    rollup_of: Callable[[str], Rollup],
) -> None:
    monkeypatch.setattr("rollups.folding.fold.MOST_EVENTS", 3)
    # One part a task.
    monkeypatch.setattr("rollups.worker.message_handler.TASK_SECONDS", 0.0)
    monkeypatch.setattr("rollups.folding.fold._LEAST_EVENTS", 1)
    for _ in range(10):
        counter_id = add("hits")
    age(timedelta(minutes=5))

    rounds = 1
    while work([counter_id], reenqueued=rounds > 1, sweep_id=sweep_id):
        assert Sweep.objects.get().healed == 0
        rounds += 1

    assert rounds > 1
    assert Sweep.objects.get().healed == 1
    assert rollup_of("hits").total == 10
    assert int(sum(bucket.delta for bucket in Bucket.objects.all())) == 10
    assert not LastWrite.objects.exists()
