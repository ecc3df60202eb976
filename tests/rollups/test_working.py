"""What a worker does with a message: rests, circulates, quarantines, counts the healed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache, caches
from django.core.cache.backends.locmem import LocMemCache
from django.db import OperationalError, connection
from pytest_django import Settings

from counters import events as recording
from counters.db.statements import load
from counters.models import LastWrite
from rollups.folding import bisect, sweep
from rollups.folding.bisect import fold_each
from rollups.folding.fold import Folded, fold
from rollups.models import Bucket, Failure, Rollup, Sweep
from rollups.worker import debounce, handle, periodic
from rollups.worker.debounce import Circulating
from rollups.worker.handle import Again, work
from rollups.worker.tasks import rollup

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers", "committed_namespace"),
]
BROKEN = 10**40 - 1


@pytest.fixture(autouse=True)
def _no_turns_taken(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ROLLUPS_FOLD_REST_SECONDS = 0
    # However long a fold takes here.
    monkeypatch.setattr(handle, "_PAUSE_TIMES_FOLDING", 0)
    cache.clear()
    debounce._own_turns.clear()


@pytest.fixture
def sweep_id(settings: Settings) -> int:
    settings.ROLLUPS_SWEEP_GRACE_SECONDS = 10
    return Sweep.objects.create(swept_at="2020-01-01T00:00Z", pending=0).pk


def add(name: str, delta: int = 1) -> int:
    counter_id = recording.add(namespace="test", name=name, delta=delta).counter_id
    assert counter_id is not None
    return counter_id


def coming_soon(counter_ids: Collection[int]) -> frozenset[int]:
    return debounce.look_up(counter_ids).coming_soon


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


def test_work__lets_a_counter_rest_that_was_folded_a_moment_ago(
    settings: Settings,
) -> None:
    settings.ROLLUPS_FOLD_REST_SECONDS = 60
    hot, cold = add("hot"), add("cold")
    fold([hot])
    add("hot")

    again = work([hot, cold])

    assert again == [Again([hot], 60, 1)]
    totals = dict(Rollup.objects.values_list("counter_id", "total"))
    assert totals == {hot: 1, cold: 1}


def test_work__folds_a_counter_that_has_rested(settings: Settings) -> None:
    settings.ROLLUPS_FOLD_REST_SECONDS = 60
    hot = add("hot")
    fold([hot])
    add("hot")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE rollups_rollup SET watermark_at = watermark_at - interval '60 s'"
        )

    assert work([hot]) == []
    assert Rollup.objects.get().total == 2


def test_work__does_not_rest_because_a_clock_was_set_back(settings: Settings) -> None:
    settings.ROLLUPS_FOLD_REST_SECONDS = 60
    hot = add("hot")
    fold([hot])
    add("hot")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE rollups_rollup SET watermark_at = watermark_at + interval '1 hour'"
        )

    assert work([hot]) == []
    assert Rollup.objects.get().total == 2


def test_hot_counter__costs_one_fold_and_one_message_a_rest(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many triggers name it, and however many workers get them."""
    settings.ROLLUPS_FOLD_REST_SECONDS = 60
    hot = add("hot")
    folds: list[int] = []
    original = fold_each

    def count(*args: Any, **options: Any) -> Any:
        done = original(*args, **options)
        folds.extend(1 for folded in done if folded.events_of)
        return done

    monkeypatch.setattr("rollups.worker.handle.fold_each", count)

    messages = []
    for _ in range(200):
        messages += work([hot])
        add("hot")

    assert len(folds) == 1
    assert messages == [Again([hot], 60, 1)]


@pytest.mark.parametrize(("took", "pause"), [(0.001, 0.025), (0.01, 0.1), (5.0, 0.2)])
def test_work__comes_back_later_where_folding_takes_long(
    took: float, pause: float, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one hot counter would keep a crowded machine busy with folds of a few events."""
    settings.ROLLUPS_FOLD_REST_SECONDS = 0.025
    monkeypatch.setattr(handle, "_PAUSE_TIMES_FOLDING", 10)
    clock = [100.0]
    monkeypatch.setattr("rollups.worker.handle.time.monotonic", lambda: clock[0])

    def fold_slowly(*_: Any, **__: Any) -> list[Folded]:
        clock[0] += took
        return [Folded({1: 1}, still_pending=frozenset({1}))]

    monkeypatch.setattr("rollups.worker.handle.fold_each", fold_slowly)

    [again] = work([1])
    assert again.pause_seconds == pytest.approx(pause)


@pytest.mark.parametrize(("turn", "pause"), [(0, 0.025), (3, 0.2), (30, 2.0)])
def test_work__waits_longer_each_turn_for_another_fold(
    turn: int, pause: float, settings: Settings
) -> None:
    settings.ROLLUPS_FOLD_REST_SECONDS = 0.025
    counter_id = add("hits")
    Rollup.objects.create(counter_id=counter_id, namespace_id=1)
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute(
                load("rollups", "lock_rollups"), {"counter_ids": [counter_id]}
            )
        again = work([counter_id], turn=turn)
        other.rollback()
    finally:
        other.close()

    assert again == [Again([counter_id], pause, turn + 1)]


@pytest.mark.parametrize(
    "backend", ["redis.RedisCache", "locmem.LocMemCache"], ids=["redis", "locmem"]
)
def test_take_turn__is_taken_until_the_message_is_back(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for a pause of milliseconds: Django's Redis cache counts whole seconds."""
    kept = caches.create_connection("default")
    if backend.startswith("locmem"):
        kept = LocMemCache("turns", {})
    assert backend in f"{type(kept).__module__}.{type(kept).__name__}"
    monkeypatch.setattr("rollups.worker.debounce.cache", kept)

    assert debounce.take_turn([1, 2], 0.025) == [1, 2]
    assert debounce.take_turn([1, 2, 3], 0.025) == [3]
    debounce.come_back([1, 3])
    assert debounce.take_turn([1, 2, 3], 0.025) == [1, 3]


def test_look_up__knows_what_comes_back_soon_and_what_is_here(
    settings: Settings,
) -> None:
    settings.ROLLUPS_FOLD_REST_SECONDS = 0.025
    debounce.take_turn([1], 0.025)
    # Another fold holds this one: it may be free long before two seconds are over.
    debounce.take_turn([2], 2.0)

    assert coming_soon([1, 2, 3]) == {1}
    debounce.come_back([1, 2])
    assert debounce.look_up([1, 2, 3]) == Circulating(being_folded=frozenset({1, 2}))
    debounce.leave([1])
    assert debounce.look_up([1, 2, 3]) == Circulating(being_folded=frozenset({2}))


def test_work__says_that_it_folds_before_it_does(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sees a fold to come sends no message, so it must see what was committed then."""
    settings.ROLLUPS_FOLD_REST_SECONDS = 0.025
    counter_id = add("hits")
    debounce.take_turn([counter_id], 0.025)
    original = fold_each

    def look_first(*args: Any, **options: Any) -> Any:
        here = debounce.look_up([counter_id])
        assert here == Circulating(being_folded=frozenset({counter_id}))
        return original(*args, **options)

    assert coming_soon([counter_id]) == {counter_id}

    # A trigger's message leaves the key: the other one is on its way still.
    work([counter_id])
    assert coming_soon([counter_id]) == {counter_id}
    monkeypatch.setattr("rollups.worker.handle.fold_each", look_first)
    work([counter_id], turn=1)
    assert debounce.look_up([counter_id]) == Circulating()


def test_work__stays_in_circulation_where_it_was_written_meanwhile(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not seen by the fold is seen by the next, and nobody sent a message."""
    settings.ROLLUPS_FOLD_REST_SECONDS = 0
    counter_id = add("hits")
    debounce.take_turn([counter_id], 0.025)

    def write_late(*args: Any, **options: Any) -> Any:
        folded = fold_each(*args, **options)
        add("hits")
        return [
            replace(one, still_pending=one.still_pending | {counter_id})
            for one in folded
        ]

    monkeypatch.setattr("rollups.worker.handle.fold_each", write_late)
    [again] = work([counter_id], turn=1)

    assert again.counter_ids == [counter_id]
    assert coming_soon([counter_id]) == {counter_id}


@pytest.mark.parametrize("call", ["get_many", "set_many", "delete_many"])
def test_circulation__goes_on_where_the_cache_fails(
    call: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ROLLUPS_FOLD_REST_SECONDS = 0.025

    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no cache")

    debounce.take_turn([1], 0.025)
    monkeypatch.setattr(f"rollups.worker.debounce.cache.{call}", fail)

    debounce.come_back([1])
    debounce.leave([1])
    assert (
        debounce.look_up([1])
        == {
            "get_many": Circulating(),
            "set_many": Circulating(),
            "delete_many": Circulating(being_folded=frozenset({1})),
        }[call]
    )


def test_take_turn__is_each_workers_own_where_the_cache_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no cache")

    monkeypatch.setattr("rollups.worker.debounce.cache.get_many", fail)

    assert debounce.take_turn([1, 2], 60) == [1, 2]
    assert debounce.take_turn([2, 3], 60) == [3]


def test_task__enqueues_what_is_pending_still(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(rollup, "apply_async", lambda **options: sent.append(options))
    monkeypatch.setattr(handle, "work", lambda *_, **__: [Again([4, 5], 0.2, 3)])

    rollup([4, 5])

    assert sent == [
        {
            "args": [[4, 5]],
            "kwargs": {"turn": 3, "sweep_id": None},
            "countdown": 0.2,
            "ignore_result": True,
            "retry": False,
        }
    ]


def test_task__ends_well_where_it_cannot_enqueue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(**_: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(rollup, "apply_async", fail)
    monkeypatch.setattr(handle, "work", lambda *_, **__: [Again([4], 0.2, 1)])

    rollup([4])


@pytest.mark.parametrize("cache_works", [True, False])
def test_task__gives_turns_back_where_it_cannot_enqueue(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, cache_works: bool
) -> None:
    settings.ROLLUPS_FOLD_REST_SECONDS = 60
    first, second = add("first"), add("second")
    fold([first, second])
    add("first")
    add("second")

    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(rollup, "apply_async", fail)
    if not cache_works:
        monkeypatch.setattr("rollups.worker.debounce.cache.get_many", fail)

    rollup([first, second])

    assert debounce.look_up([first, second]) == Circulating()
    assert debounce.take_turn([first, second], 60) == [first, second]


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
        (periodic.sweep, "rollups_sweep"),
        (periodic.make_partitions, "counters_claim"),
        (periodic.close_partitions, "counters_namespace"),
        (periodic.reindex_partitions, "counters_event"),
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
    settings.ROLLUPS_FOLD_REST_SECONDS = 0
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
    settings.ROLLUPS_FOLD_EVENTS = 3
    settings.ROLLUPS_TASK_SECONDS = 0.0001  # one part a task
    monkeypatch.setattr("rollups.folding.fold._LEAST_EVENTS", 1)
    for _ in range(10):
        counter_id = add("hits")
    age(timedelta(minutes=5))

    again = work([counter_id], sweep_id=sweep_id)
    rounds = 1
    while again:
        assert again == [Again([counter_id], 0.0, 1, sweep_id)]
        assert Sweep.objects.get().healed == 0
        cache.clear()
        again = work([counter_id], turn=1, sweep_id=sweep_id)
        rounds += 1

    assert rounds > 1
    assert Sweep.objects.get().healed == 1
    assert rollup_of("hits").total == 10
    assert int(sum(bucket.delta for bucket in Bucket.objects.all())) == 10
    assert not LastWrite.objects.exists()
