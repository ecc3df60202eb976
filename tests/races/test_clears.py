"""A clear takes off exactly what it saw, while others add, fold or clear.

Each test puts two transactions in order, by a second connection or by a lock that a
thread waits for. tests/interleavings runs clears in every order of their steps.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from counters import events
from counters.db.statements import load
from counters.models import LastWrite, Namespace
from counters.recording import tokens
from rollups import counts
from rollups.models import Rollup
from rollups.reading import clear as clearing
from rollups.reading.clear import Cleared
from tests.conftest import Threads
from tests.factories import fold_all
from tests.races.waiting import TIMEOUT_SECONDS, wait_until_somebody_waits_for_a_lock

pytestmark = [
    pytest.mark.race,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers", "committed_namespace"),
]


def add(delta: int = 1) -> None:
    events.add(namespace="test", name="hits", delta=delta)


def clear(token: str | None = None) -> Cleared:
    return clearing.clear(namespace="test", name="hits", token=token)


def count(accuracy: str = "accurate") -> int:
    return counts.get(namespace="test", name="hits", accuracy=accuracy).count


def fold_the_rest() -> None:
    while LastWrite.objects.exists():
        fold_all()


@pytest.fixture
def other() -> Iterator[BaseDatabaseWrapper]:
    """A second connection, for a second transaction in the same thread."""
    second = connection.copy()
    try:
        yield second
    finally:
        second.close()


def test_clear__leaves_an_add_that_commits_after_it_looked(
    threads: Threads, other: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The add is there, uncommitted, when the clear reads the total."""
    add(5)
    other.set_autocommit(False)
    with monkeypatch.context() as patch:
        patch.setattr("counters.recording.record.connections", {"default": other})
        add(7)

    assert clear().count_before == 5
    other.commit()

    assert count() == 7
    fold_the_rest()
    assert count("eventual") == 7


def test_clear__takes_an_add_that_commits_between_its_lock_and_its_look(
    other: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look is a statement of its own: its snapshot is newer than the lock."""
    add(5)
    fold_all()
    original = clearing._first_time

    def add_first(*args: object) -> object:
        with monkeypatch.context() as patch:
            patch.setattr("counters.recording.record.connections", {"default": other})
            add(7)
        return original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(clearing, "_first_time", add_first)

    assert clear().count_before == 12
    assert count() == 0


@pytest.mark.parametrize("folded", [True, False])
def test_clear__waits_for_another_and_takes_off_nothing_more(
    threads: Threads, folded: bool
) -> None:
    """The first clear is not committed when the second begins."""
    add(5)
    if folded:
        fold_all()
    with transaction.atomic():
        first = clear()
        second = threads.submit(clear)
        wait_until_somebody_waits_for_a_lock()

    assert first.count_before == 5
    assert second.result(TIMEOUT_SECONDS).count_before == 0
    assert count() == 0


def test_clear__that_waited_for_one_that_rolls_back_takes_it_all(
    threads: Threads,
) -> None:
    add(5)
    with transaction.atomic():
        clear()
        second = threads.submit(clear)
        wait_until_somebody_waits_for_a_lock()
        transaction.set_rollback(True)

    assert second.result(TIMEOUT_SECONDS).count_before == 5
    assert count() == 0


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("kind", ["uuidv7", "text"])
def test_clear__of_a_token_waits_for_its_first_use_to_end(
    threads: Threads, committed: bool, kind: str
) -> None:
    """The first use is not committed when the second begins."""
    token = tokens.new().text if kind == "uuidv7" else "monday"
    add(5)
    with transaction.atomic():
        first = clear(token)
        second = threads.submit(clear, token)
        wait_until_somebody_waits_for_a_lock()
        if not committed:
            transaction.set_rollback(True)

    answer = second.result(TIMEOUT_SECONDS)
    assert answer.duplicate == committed
    assert answer.count_before == (None if committed else 5)
    if committed:
        assert answer.event_time == first.event_time
    assert count() == 0


def test_clear__waits_for_a_fold_and_reads_what_it_folded(
    committed_namespace: Namespace, threads: Threads, other: BaseDatabaseWrapper
) -> None:
    """A total read beside a fold that is not committed would be taken off twice or never."""
    counter_id = events.add(namespace="test", name="hits", delta=5).counter_id
    assert counter_id is not None
    Rollup.objects.create(counter_id=counter_id, namespace_id=committed_namespace.pk)
    other.set_autocommit(False)
    with other.cursor() as cursor:
        for statement in ("lock_rollups", "fold_events"):
            cursor.execute(load("rollups", statement), {"counter_ids": [counter_id]})
    waiting = threads.submit(clear)
    wait_until_somebody_waits_for_a_lock()
    other.commit()

    assert waiting.result(TIMEOUT_SECONDS).count_before == 5
    fold_the_rest()
    assert count("eventual") == count() == 0


def test_fold__skips_a_counter_that_is_being_cleared(threads: Threads) -> None:
    add(5)
    fold_all()
    with transaction.atomic():
        clear()

        threads.submit(fold_all).result(TIMEOUT_SECONDS)

        assert Rollup.objects.get().total == 5
    fold_the_rest()
    assert Rollup.objects.get().total == 0


def test_fold__of_others_does_not_wait_for_the_first_clear_of_a_new_counter(
    threads: Threads,
) -> None:
    """The clear makes the rollup, which nobody sees until it commits."""
    add(5)
    events.add(namespace="test", name="other", delta=3)
    with transaction.atomic():
        clear()

        threads.submit(fold_all).result(TIMEOUT_SECONDS)

        assert counts.get(namespace="test", name="other").count == 3
    fold_the_rest()
    assert count("eventual") == 0


def test_add__does_not_wait_for_a_clear(threads: Threads) -> None:
    add(5)
    with transaction.atomic():
        clear()

        threads.submit(add, 7).result(TIMEOUT_SECONDS)

    assert count() == 7
