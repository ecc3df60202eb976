from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from counters import events
from counters.errors import CounterNotFound, InvalidValue, NamespaceNotFound
from counters.models import Namespace
from rollups import counts as reading
from rollups.folding.fold import fold
from rollups.reading.many import CounterName, get_many

pytestmark = [pytest.mark.django_db(transaction=True)]


def get(accuracy: str | None = None) -> reading.Reading:
    return reading.get(namespace="test", name="hits", accuracy=accuracy)


def test_get__answers_from_the_rollup(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    counter_id = events.add(namespace="test", name="hits", delta=5).counter_id
    fold([counter_id])
    before = datetime.now(UTC)

    read = get()

    assert (read.count, read.pending, read.accuracy) == (5, False, "eventual")
    assert (read.counter_id, read.namespace, read.name) == (counter_id, "test", "hits")
    assert before - timedelta(seconds=5) < read.as_of < before + timedelta(seconds=5)
    assert read.last_write_at is not None
    assert read.last_write_at <= read.as_of


def test_get__says_that_events_are_pending_and_since_when(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    counter_id = events.add(namespace="test", name="hits", delta=5).counter_id
    fold([counter_id])
    folded_at = get().as_of
    events.add(namespace="test", name="hits", delta=7)

    eventual, accurate = get("eventual"), get("accurate")

    assert (eventual.count, eventual.pending) == (5, True)
    assert (accurate.count, accurate.pending) == (12, True)
    assert eventual.as_of <= folded_at < accurate.as_of
    assert eventual.last_write_at == accurate.last_write_at
    assert eventual.last_write_at is not None
    assert eventual.last_write_at > folded_at - timedelta(seconds=1)


def test_get__of_a_counter_that_was_never_folded(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    events.add(namespace="test", name="hits", delta=5)

    assert (get("eventual").count, get("accurate").count) == (0, 5)
    assert get("eventual").pending


def test_get__accurately_reads_the_callers_own_uncommitted_adds(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    counter_id = events.add(namespace="test", name="hits", delta=1).counter_id
    fold([counter_id])

    with transaction.atomic():
        events.add(namespace="test", name="hits", delta=10)
        inside = get("accurate").count
        transaction.set_rollback(True)

    assert inside == 11
    assert get("accurate").count == 1


def test_get__accurately_while_another_transaction_stays_open(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counter_id = events.add(namespace="test", name="hits", delta=1).counter_id
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with monkeypatch.context() as patch:
            patch.setattr("counters.recording.record.connections", {"default": other})
            events.add(namespace="test", name="hits", delta=100)
        fold([counter_id])
        events.add(namespace="test", name="hits", delta=10)
        assert get("accurate").count == 11
        other.commit()
    finally:
        other.close()

    assert get("accurate").count == 111
    assert get("eventual").count == 1


@pytest.mark.parametrize("accuracy", ["eventual", "accurate"])
def test_get__is_one_statement(
    committed_namespace: Namespace, triggers: list[list[int]], accuracy: str
) -> None:
    events.add(namespace="test", name="hits")

    with CaptureQueriesContext(connection) as queries:
        get(accuracy)

    assert len(queries) == 1


def test_get__triggers_a_pending_counter_again(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    counter_id = events.add(namespace="test", name="hits").counter_id
    triggers.clear()

    get()
    fold([counter_id])
    get()

    assert triggers == [[counter_id]]


def test_get__says_once_in_debug_that_nothing_folds(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("rollups.reading.read._hinted", False)
    monkeypatch.setattr("rollups.reading.read._unfolded", {})
    settings.DEBUG = True
    start = datetime.now(UTC)

    def read_after(seconds: int) -> list[str]:
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            events.add(namespace="test", name="hits")
            get()
            get_many([CounterName("test", "hits")])
        return [one.message for one in caplog.records if "a worker" in one.message]

    assert read_after(0) == []
    assert read_after(29) == []
    fold([events.add(namespace="test", name="hits").counter_id or 0])
    assert read_after(31) == []
    settings.DEBUG = False
    assert read_after(62) == []
    settings.DEBUG = True
    [hint] = read_after(62)
    assert (
        "has waited for a fold for 31 s, so its eventual count does not change" in hint
    )
    assert read_after(99) == [hint]


def test_get__follows_the_namespaces_counter_type(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    committed_namespace.counter_type = "accurate"
    committed_namespace.save()
    events.add(namespace="test", name="hits", delta=5)

    assert (get().count, get().accuracy) == (5, "accurate")
    assert (get("eventual").count, get("eventual").accuracy) == (0, "eventual")


def test_get__names_what_is_not_there(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    with pytest.raises(CounterNotFound, match="no counter 'hits' in namespace 'test'"):
        get()
    with pytest.raises(NamespaceNotFound, match="no namespace 'nowhere'"):
        reading.get(namespace="nowhere", name="hits")
    with pytest.raises(
        InvalidValue, match="accuracy: 'exact' is not one of eventual, accurate"
    ):
        get("exact")
