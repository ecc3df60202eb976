"""What a worker does with a message: folds, re-enqueues, quarantines, counts the healed."""

from __future__ import annotations

from collections.abc import Callable
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
from rollups.folding.fold import fold
from rollups.models import Bucket, Failure, Rollup, Sweep
from rollups.trigger.publisher import Publisher
from rollups.worker import debounce, handle, tasks
from rollups.worker.handle import Again, work
from rollups.worker.tasks import rollup

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers", "committed_namespace"),
]
BROKEN = 10**40 - 1


@pytest.fixture(autouse=True)
def _nothing_claimed(settings: Settings) -> None:
    settings.ROLLUPS_FOLD_REST_SECONDS = 0
    cache.clear()


@pytest.fixture
def sweep_id(settings: Settings) -> int:
    settings.ROLLUPS_SWEEP_GRACE_SECONDS = 10
    return Sweep.objects.create(swept_at="2020-01-01T00:00Z", pending=0).pk


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


def test_work__lets_a_counter_rest_that_was_folded_a_moment_ago(
    settings: Settings,
) -> None:
    settings.ROLLUPS_FOLD_REST_SECONDS = 60
    hot, cold = add("hot"), add("cold")
    fold([hot])
    add("hot")

    [again] = work([hot, cold])

    assert (again.counter_ids, again.pause_seconds) == ([hot], 60)
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

    def count(*args: Any, **options: Any) -> Any:
        done = fold_each(*args, **options)
        folds.extend(1 for folded in done if folded.events_of)
        return done

    monkeypatch.setattr("rollups.worker.handle.fold_each", count)

    messages = []
    for _ in range(200):
        messages += work([hot])
        add("hot")

    assert len(folds) == 1
    [again] = messages
    assert (again.counter_ids, again.pause_seconds) == ([hot], 60)


@pytest.mark.parametrize(("claim", "pause"), [(0, 0.025), (7, 0.2)])
def test_work__waits_longer_for_a_fold_that_holds_a_counter_for_long(
    claim: int, pause: float, settings: Settings
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
        [again] = work([counter_id], claim=claim)
        other.rollback()
    finally:
        other.close()

    assert (again.counter_ids, again.pause_seconds) == ([counter_id], pause)


@pytest.mark.parametrize(
    "backend", ["redis.RedisCache", "locmem.LocMemCache"], ids=["redis", "locmem"]
)
def test_claim__is_kept_until_the_message_is_here(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for a pause of milliseconds: Django's Redis cache counts whole seconds."""
    kept = caches.create_connection("default")
    if backend.startswith("locmem"):
        kept = LocMemCache("claims", {})
    assert backend in f"{type(kept).__module__}.{type(kept).__name__}"
    monkeypatch.setattr("rollups.worker.debounce.cache", kept)

    assert claim([1, 2], 5) == [1, 2]
    assert claim([1, 2, 3], 6) == [3]
    assert debounce.release([1, 3, 4], 5) == {3}
    assert claim([1, 2, 3, 4], 7) == [1, 4]


def claim(counter_ids: list[int], number: int = 1) -> list[int]:
    return debounce.claim(counter_ids, number, pause_seconds=0.025, without_cache=False)


def test_work__releases_its_claim_before_it_folds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A trigger that finds a claim is dropped, and relies on the fold to come."""
    counter_id = add("hits")
    claim([counter_id])

    def trigger_late(*args: Any, **options: Any) -> Any:
        assert claim([counter_id], 2) == [counter_id]
        return fold_each(*args, **options)

    # A trigger's own message leaves the claim: the other message is still on its way.
    work([counter_id])
    assert claim([counter_id], 2) == []
    add("hits")
    monkeypatch.setattr("rollups.worker.handle.fold_each", trigger_late)
    assert work([counter_id], claim=1) == []
    assert Rollup.objects.get().total == 2


@pytest.fixture
def hot(settings: Settings) -> int:
    """A counter that is pending and rests, whatever happens."""
    settings.ROLLUPS_FOLD_REST_SECONDS = 60
    counter_id = add("hot")
    fold([counter_id])
    add("hot")
    return counter_id


def test_hot_counter__has_one_message_in_the_queue_after_a_race(
    hot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers claim it at the same instant, or a claim has expired."""
    with monkeypatch.context() as patch:
        patch.setattr("rollups.worker.debounce.cache.get_many", lambda _: {})
        queue = [again.claim for _ in range(5) for again in work([hot])]
    assert len(queue) == 5

    for _ in range(3):
        queue = [again.claim for each in queue for again in work([hot], claim=each)]
        queue += [again.claim for again in work([hot])]

        assert len(queue) == 1


@pytest.mark.parametrize("call", ["get_many", "set_many", "delete_many"])
def test_hot_counter__is_reenqueued_once_by_each_trigger_where_the_cache_fails(
    hot: int, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No storm, however many messages find the counter resting."""

    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no cache")

    monkeypatch.setattr(f"rollups.worker.debounce.cache.{call}", fail)
    reenqueued = [work([hot]) for _ in range(10)]
    again = [work([hot], claim=one.claim) for each in reenqueued for one in each]

    assert sum(map(len, reenqueued)) == (1 if call == "delete_many" else 10)
    assert not any(again)


def test_task__reenqueues_what_could_not_be_folded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[list[int], dict[str, Any]]] = []
    monkeypatch.setattr(
        Publisher, "publish", lambda _, ids, **options: sent.append((ids, options))
    )
    monkeypatch.setattr(handle, "work", lambda *_, **__: [Again([4, 5], 0.2, 7, 3)])

    rollup([4, 5])

    [(counter_ids, options)] = sent
    assert counter_ids == [4, 5]
    assert options == {
        "expires_seconds": None,
        "countdown_seconds": 0.2,
        "claim": 7,
        "sweep_id": 3,
    }


def test_task__releases_the_claim_of_what_it_cannot_enqueue(
    hot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(Publisher, "publish", fail)

    rollup([hot])

    assert claim([hot]) == [hot]


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
        [one] = again
        assert one == Again([counter_id], 0.0, one.claim, sweep_id)
        assert Sweep.objects.get().healed == 0
        cache.clear()
        again = work([counter_id], claim=one.claim, sweep_id=sweep_id)
        rounds += 1

    assert rounds > 1
    assert Sweep.objects.get().healed == 1
    assert rollup_of("hits").total == 10
    assert int(sum(bucket.delta for bucket in Bucket.objects.all())) == 10
    assert not LastWrite.objects.exists()
