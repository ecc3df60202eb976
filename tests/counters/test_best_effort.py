"""Best-effort namespaces: in the shared cache, and honest about it."""

from __future__ import annotations

import threading
from typing import Any
from unittest.mock import patch

import pytest
from django.core.cache import cache, caches
from django.db.models.signals import pre_delete
from django.test import override_settings

from counters import events as record
from counters.errors import (
    BatchRefused,
    CounterNotFound,
    InvalidValue,
    NoSharedCache,
    NotForBestEffort,
)
from counters.models import Counter, Event, Namespace
from counters.namespaces import best_effort, deletion, lookup
from counters.ttl_cache import Memory
from rollups import counts as reading
from rollups.reading import clear
from tests.conftest import Threads
from tests.races.waiting import TIMEOUT_SECONDS

pytestmark = pytest.mark.django_db

NOT_SHARED = {
    "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
}
NOBODY_THERE = {
    "BACKEND": "django.core.cache.backends.redis.RedisCache",
    "LOCATION": "redis://127.0.0.1:1/0",
}


def add(delta: int = 1, **more: Any) -> None:
    record.add(namespace="test", name="hits", delta=delta, **more)


def count() -> int:
    return reading.get(namespace="test", name="hits").count


def test_add__counts_in_the_cache_only(loose: Namespace) -> None:
    for delta in (5, -7, 0, 10):
        add(delta)

    assert count() == 8
    assert not Counter.objects.exists()
    assert not Event.objects.exists()


def test_add__says_that_nothing_durable_was_made(loose: Namespace) -> None:
    recorded = record.add(namespace="test", name="hits")

    assert (recorded.counter_id, recorded.token, recorded.duplicate) == (
        0,
        None,
        False,
    )


def test_get__says_what_it_is(loose: Namespace) -> None:
    add(3)

    read = reading.get(namespace="test", name="hits")

    assert (read.accuracy, read.pending, read.last_write_at) == (
        "best-effort",
        False,
        None,
    )


@pytest.mark.parametrize("accuracy", ["eventual", "accurate", ""])
def test_get__promises_no_more_than_there_is(loose: Namespace, accuracy: str) -> None:
    add()

    with pytest.raises(NotForBestEffort):
        reading.get(namespace="test", name="hits", accuracy=accuracy)


def test_get__of_a_counter_that_is_not_there_finds_none(loose: Namespace) -> None:
    with pytest.raises(CounterNotFound):
        count()


def test_clear__takes_off_what_is_there(loose: Namespace) -> None:
    add(5)

    cleared = clear.clear(namespace="test", name="hits")

    assert (cleared.count_before, cleared.token, cleared.duplicate) == (5, None, False)
    assert count() == 0
    assert clear.clear(namespace="test", name="hits").count_before == 0


def test_clear__of_a_counter_that_is_not_there_finds_none(loose: Namespace) -> None:
    with pytest.raises(CounterNotFound):
        clear.clear(namespace="test", name="hits")


def test_add__and_clear_take_no_token(loose: Namespace) -> None:
    with pytest.raises(NotForBestEffort, match="tokens"):
        add(token="a")
    with pytest.raises(NotForBestEffort, match="tokens"):
        clear.clear(namespace="test", name="hits", token="a")


def test_add_many__is_refused_by_index(loose: Namespace) -> None:
    Namespace.objects.create(name="durable")
    events = [record.NewEvent("durable", "a"), record.NewEvent("test", "a")]

    with pytest.raises(BatchRefused) as raised:
        record.add_many(events)

    assert raised.value.index == 1
    assert isinstance(raised.value.cause, NotForBestEffort)


@pytest.mark.parametrize(
    ("first", "second"), [(2**63 - 1, 1), (-(2**63), -1), (2**62, 2**62)]
)
def test_add__beyond_what_a_cache_can_count_is_refused(
    loose: Namespace, first: int, second: int
) -> None:
    add(first)

    with pytest.raises(InvalidValue, match="delta"):
        add(second)

    assert count() == first


def test_counters__of_different_namespaces_and_names_are_different(
    loose: Namespace,
) -> None:
    Namespace.objects.create(name="other", counter_type="best-effort")
    names = ["a", "A", "a b", "é", "x" * 200, "x" * 199 + "y", "a:b c"]
    for number, name in enumerate(names, start=1):
        record.add(namespace="test", name=name, delta=number)
        record.add(namespace="other", name=name, delta=-number)

    for sign, namespace in ((1, "test"), (-1, "other")):
        counts = [reading.get(namespace=namespace, name=name).count for name in names]
        assert counts == [sign * number for number in range(1, len(names) + 1)]


def test_counter__lives_for_the_retention_after_its_last_add(loose: Namespace) -> None:
    seconds = loose.retention.total_seconds()
    with patch.object(cache, "touch", wraps=cache.touch) as touch:
        add()
        add()

    assert [call.args[1] for call in touch.call_args_list] == [seconds, seconds]
    assert len({call.args[0] for call in touch.call_args_list}) == 1


@pytest.mark.parametrize("kind", NOT_SHARED)
def test_call__without_a_shared_cache_is_refused(loose: Namespace, kind: str) -> None:
    """Each process would count by itself, in silence."""
    with override_settings(CACHES={"default": NOT_SHARED[kind]}):
        for call in (
            add,
            count,
            lambda: clear.clear(namespace="test", name="hits"),
            lambda: best_effort.delete(loose, "hits"),
        ):
            with pytest.raises(NoSharedCache, match="CACHE_URL"):
                call()


def test_call__of_a_cache_that_does_not_answer_is_refused(loose: Namespace) -> None:
    with override_settings(CACHES={"default": NOBODY_THERE}):
        with pytest.raises(NoSharedCache, match="did not answer"):
            add()
        with pytest.raises(NoSharedCache):
            count()
        close: Any = caches["default"].close
        close()


@pytest.mark.race
def test_add__of_many_threads_counts_each(loose: Namespace, threads: Threads) -> None:
    """Of several first adds at once, one makes the counter and all add to it."""
    adders, rounds = 8, 25
    start = threading.Barrier(adders, timeout=TIMEOUT_SECONDS)

    def work() -> None:
        start.wait()
        for _ in range(rounds):
            best_effort.add(loose, "hits", 1)

    for future in [threads.submit(work) for _ in range(adders)]:
        future.result(TIMEOUT_SECONDS)

    assert best_effort.read(loose, "hits") == adders * rounds


def test_add__of_a_counter_that_another_makes_meanwhile_counts_both(
    loose: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deterministic twin: the other's whole add comes before our `cache.add`."""
    original = cache.add
    others: list[int] = []

    def other_first(*args: Any) -> bool:
        if not others:
            others.append(1)
            best_effort.add(loose, "hits", 10)
        return bool(original(*args))

    monkeypatch.setattr(cache, "add", other_first, raising=False)
    best_effort.add(loose, "hits", 1)

    assert others
    assert best_effort.read(loose, "hits") == 11


@pytest.mark.parametrize("meanwhile", [3, -3])
def test_clear__leaves_what_is_added_meanwhile(
    loose: Namespace, monkeypatch: pytest.MonkeyPatch, meanwhile: int
) -> None:
    best_effort.add(loose, "hits", 10)
    original = best_effort.read

    def then_add(namespace: Namespace, name: str) -> int | None:
        found = original(namespace, name)
        best_effort.add(loose, "hits", meanwhile)
        return found

    with monkeypatch.context() as within:
        within.setattr(best_effort, "read", then_add)
        assert best_effort.clear(loose, "hits") == 10

    assert best_effort.read(loose, "hits") == meanwhile


@pytest.mark.django_db(transaction=True)
def test_delete_namespace__ends_when_no_process_remembers_it(
    committed_namespace: Namespace,
) -> None:
    """Another process looked it up just before the deletion was committed."""
    Namespace.objects.update(counter_type="best-effort")
    lookup.forget_all()
    other: Memory[str, Namespace] = Memory()

    def look_up_last(**_: Any) -> None:
        other.keep("test", Namespace.objects.get(name="test"))

    pre_delete.connect(look_up_last, sender=Namespace)
    try:
        deletion.delete_namespace("test", confirm="test")
    finally:
        pre_delete.disconnect(look_up_last, sender=Namespace)

    assert other.get("test") is None
