"""Folding that lags far behind goes on in parts, and stays exact."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from counters import events
from counters.models import LastWrite, Namespace
from rollups import counts
from rollups.folding import fold as folding
from rollups.folding.drain import drain
from rollups.folding.fold import fold
from rollups.models import Bucket, Rollup

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers", "committed_namespace"),
]


@pytest.fixture(autouse=True)
def _in_parts_of_five(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MOST_EVENTS", 5)
    monkeypatch.setattr(folding, "FAR_BEHIND", timedelta(seconds=60))
    monkeypatch.setattr(folding, "_LEAST_EVENTS", 1)


@contextmanager
def other_connection() -> Iterator[BaseDatabaseWrapper]:
    other = connection.copy()
    try:
        yield other
    finally:
        other.close()


def add(name: str = "hits", delta: int = 1) -> int:
    counter_id = events.add(namespace="test", name=name, delta=delta).counter_id
    assert counter_id is not None
    return counter_id


def fall_behind(by: timedelta = timedelta(minutes=2)) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE counters_lastwrite SET pending_since = pending_since - %s::interval",
            [str(by)],
        )


def accurate(name: str = "hits") -> int:
    return counts.get(namespace="test", name=name, accuracy="accurate").count


def test_fold__takes_the_oldest_part_of_a_counter_that_is_far_behind() -> None:
    for power in range(12):
        counter_id = add(delta=2**power)
    fall_behind()

    first = fold([counter_id])

    assert first.events_of == {counter_id: 6}
    assert first.partly == first.still_pending == {counter_id}
    assert Rollup.objects.get().total == 2**6 - 1
    assert LastWrite.objects.exists()
    assert accurate() == 2**12 - 1
    second = fold([counter_id])
    assert (second.partly, second.events) == (frozenset(), 6)
    assert Rollup.objects.get().total == 2**12 - 1
    assert not LastWrite.objects.exists()


def test_fold__takes_everything_of_a_counter_that_is_not_behind() -> None:
    for _ in range(12):
        counter_id = add()

    assert fold([counter_id]).events_of == {counter_id: 12}


def test_fold__keeps_the_watermarks_time_until_it_has_caught_up() -> None:
    counter_id = add()
    fold([counter_id])
    before = Rollup.objects.get().watermark_at
    for _ in range(13):
        add()
    Rollup.objects.update(watermark_at=None)
    fall_behind()

    for _ in range(2):
        fold([counter_id])
        assert Rollup.objects.get().watermark_at is None
    fold([counter_id])

    after = Rollup.objects.get().watermark_at
    assert before is not None
    assert after is not None
    assert after > before


def test_fold__takes_a_transaction_whole_that_is_larger_than_a_part() -> None:
    events.add_many([events.NewEvent("test", "hits") for _ in range(40)])
    counter_id = add()
    add()
    fall_behind()

    assert fold([counter_id]).events_of == {counter_id: 40}
    assert fold([counter_id]).events_of == {counter_id: 2}
    assert Rollup.objects.get().total == 42


def test_fold__in_parts_leaves_out_a_transaction_that_is_open_and_takes_it_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its id is below the bound: it must be in the watermark as in progress."""
    counter_id = add()
    fold([counter_id])
    with other_connection() as late:
        late.set_autocommit(False)
        with monkeypatch.context() as patch:
            patch.setattr("counters.recording.record.connections", {"default": late})
            add(delta=1_000)
        for _ in range(20):
            add()
        fall_behind()
        while fold([counter_id]).partly:
            assert accurate() == 21
        assert Rollup.objects.get().total == 21
        late.commit()

    assert accurate() == 1_021
    fold([counter_id])
    assert Rollup.objects.get().total == 1_021
    assert not LastWrite.objects.exists()


def test_fold__in_parts_takes_what_the_last_watermark_saw_in_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Committed since, its id is below the watermark's xmax: only xip leads to it."""
    counter_id = add()
    with other_connection() as late:
        late.set_autocommit(False)
        with monkeypatch.context() as patch:
            patch.setattr("counters.recording.record.connections", {"default": late})
            add(delta=1_000)
        add()
        fold([counter_id])
        late.commit()
    for _ in range(12):
        add()
    Rollup.objects.update(watermark_at=None)
    fall_behind()

    assert fold([counter_id]).partly == {counter_id}

    assert Rollup.objects.get().total == 2 + 1_000 + 6
    fold([counter_id])
    assert Rollup.objects.get().total == 2 + 1_000 + 12


def test_fold__in_parts_moves_every_watermark_forward() -> None:
    seen = []
    for _ in range(30):
        counter_id = add()
    fall_behind()
    while LastWrite.objects.exists():
        fold([counter_id])
        seen.append(int(Rollup.objects.get().watermark.split(":")[1]))

    assert len(seen) == 5
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("seed", range(3))
def test_backlog__drains_to_the_exact_totals(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers of every kind, some open for long, some rolled back, folds in between."""
    monkeypatch.setattr(folding, "FAR_BEHIND", timedelta(seconds=-1))
    chance = random.Random(seed)
    truth = {f"c{i}": 0 for i in range(6)}
    for name in truth:
        add(name, 0)
    with other_connection() as late:
        late.set_autocommit(False)
        open_adds: list[tuple[str, int]] = []
        for _ in range(150):
            name, delta = chance.choice(list(truth)), chance.randint(-99, 99)
            kind = chance.random()
            if kind < 0.25:
                with monkeypatch.context() as patch:
                    patch.setattr(
                        "counters.recording.record.connections", {"default": late}
                    )
                    add(name, delta)
                open_adds.append((name, delta))
            elif kind < 0.35:
                late.rollback() if chance.random() < 0.4 else _commit(
                    late, open_adds, truth
                )
                open_adds = []
            elif kind < 0.5:
                fold(list(LastWrite.objects.values_list("counter_id", flat=True)))
            else:
                add(name, delta)
                truth[name] += delta
        _commit(late, open_adds, truth)

    list(drain())

    assert not LastWrite.objects.exists()
    totals = Rollup.objects.values_list("counter__name", "total")
    assert {name: int(total) for name, total in totals} == truth
    assert sum(int(one.delta) for one in Bucket.objects.all()) == sum(truth.values())


def _commit(
    late: BaseDatabaseWrapper, adds: list[tuple[str, int]], truth: dict[str, int]
) -> None:
    late.commit()
    for name, delta in adds:
        truth[name] += delta


def test_drain__takes_a_counter_in_parts_to_its_end() -> None:
    for _ in range(23):
        add()
    fall_behind()

    steps = list(drain())

    assert [step.events for step in steps] == [6, 6, 6, 5]
    assert [step.counters for step in steps] == [0, 0, 0, 1]


def test_fold__in_parts_is_undone_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(12):
        counter_id = add()
    fall_behind()
    original = folding._fold_in_parts

    def crash(behind: set[int]) -> None:
        original(behind)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(folding, "_fold_in_parts", crash)
        with pytest.raises(KeyboardInterrupt):
            fold([counter_id])

    assert Rollup.objects.get().total == 0
    assert not Bucket.objects.exists()
    with transaction.atomic():
        assert Namespace.objects.count() == 1
