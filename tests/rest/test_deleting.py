"""`DELETE` of a counter and of a namespace: confirmed, complete, for good."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.dispatch import receiver

from counters import events
from counters.db import timeouts
from counters.db.statements import load
from counters.errors import CounterNotFound
from counters.events import NewEvent
from counters.models import Claim, Counter, Event, Grant, LastWrite, Namespace
from counters.namespaces import deletion as deleting
from counters.namespaces import lookup
from counters.recording import tokens
from counters.recording.duplicates import Recorded, answer_duplicate, find_first_events
from counters.recording.new_counters import create_counters
from counters.recording.record import record
from counters.recording.validation import CheckedEvent
from counters.signals import counters_deleting
from rollups.models import Bucket, Failure, Rollup
from rollups.reading import clear as clearing
from tests.conftest import Threads
from tests.factories import fold_all, grant
from tests.races.waiting import TIMEOUT_SECONDS, wait_until_somebody_waits_for_a_lock
from tests.rest.conftest import Api, answer, counter, problem

pytestmark = pytest.mark.django_db(transaction=True)

OF_COUNTERS = [Event, LastWrite, Claim, Rollup, Bucket, Failure]


def delete(api: Api, path: str, confirm: str | None) -> Any:
    query = "" if confirm is None else f"?confirm={quote(confirm, safe='')}"
    return api.send("DELETE", path + query)


def fill(api: Api, *names: str, namespace: str = "test") -> None:
    """Leave rows of the counters in every table: three events each, one not folded."""
    for token, folds in (("a", True), (None, True), ("b", False)):
        for name in names:
            answer(api.add(name, {"delta": 5, "token": token}, namespace=namespace))
        if folds:
            fold_all()
    now = datetime.now(UTC)
    for counter_id in Counter.objects.filter(
        namespace__name=namespace, name__in=names
    ).values_list("pk", flat=True):
        Failure.objects.create(
            counter_id=counter_id,
            error="once",
            attempts=1,
            failed_since=now,
            failed_at=now,
            next_try_at=now,
        )


def ids_with_rows() -> dict[str, set[int]]:
    return {
        model.__name__: set(model._default_manager.values_list("counter_id", flat=True))
        for model in OF_COUNTERS
    }


def test_delete_counter__takes_everything_of_it_and_nothing_else(
    committed_api: Api, counter_id: Callable[[str], int]
) -> None:
    fill(committed_api, "goes", "stays")
    before = ids_with_rows()
    stays = {counter_id("stays")}
    assert all(ids == stays | {counter_id("goes")} for ids in before.values())

    response = delete(committed_api, counter("goes"), "goes")

    assert (response.status_code, response.content) == (204, b"")
    assert ids_with_rows() == dict.fromkeys(before, stays)
    problem(committed_api.read("goes"), 404, "counter-not-found")
    assert answer(committed_api.read("stays", "?accuracy=accurate"))["count"] == 15


def test_delete_counter__lets_a_new_one_of_its_name_begin_at_0(
    committed_api: Api,
) -> None:
    fill(committed_api, "hits")
    delete(committed_api, counter("hits"), "hits")

    added = answer(committed_api.add("hits", {"delta": 2, "token": "a"}))

    assert not added["duplicate"]
    fold_all()
    assert answer(committed_api.read("hits"))["count"] == 2


@pytest.mark.parametrize("confirm", [None, "", "HITS", "hits ", "test"])
def test_delete_counter__must_be_confirmed_by_its_name(
    committed_api: Api, confirm: str | None
) -> None:
    fill(committed_api, "hits")

    body = problem(
        delete(committed_api, counter("hits"), confirm), 400, "not-confirmed"
    )

    assert "'hits'" in body["detail"]
    assert Event.objects.count() == 3


@pytest.mark.parametrize("name", ["a/b", "100%", "ü ?&#"])
def test_delete_counter__of_any_name(committed_api: Api, name: str) -> None:
    committed_api.add(name, {"delta": 1})

    assert delete(committed_api, counter(name), name).status_code == 204


def test_delete_counter__that_is_not_there_is_not_found(committed_api: Api) -> None:
    problem(delete(committed_api, counter("hits"), "hits"), 404, "counter-not-found")


def test_delete_namespace__takes_everything_in_it_and_nothing_else(
    committed_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "BATCH_COUNTERS", 2)
    user = User.objects.get()
    grant(Namespace.objects.create(name="stays"), user, "read write")
    fill(committed_api, *"abcde")
    fill(committed_api, "a", namespace="stays")

    response = delete(committed_api, "namespaces/test", "test")

    assert (response.status_code, response.content) == (204, b"")
    stays = {Counter.objects.get().pk}
    assert ids_with_rows() == {model.__name__: stays for model in OF_COUNTERS}
    assert Namespace.objects.get() == Grant.objects.get().namespace
    problem(committed_api.get("namespaces/test"), 404, "namespace-not-found")
    problem(committed_api.add("a", {"delta": 1}), 404, "namespace-not-found")
    # The namespace's successor has nothing of it.
    grant(Namespace.objects.create(name="test"), user, "read")
    assert answer(committed_api.get("namespaces/test/counters"))["results"] == []


@pytest.mark.parametrize("confirm", [None, "", "Test", "a"])
def test_delete_namespace__must_be_confirmed_by_its_name(
    committed_api: Api, confirm: str | None
) -> None:
    fill(committed_api, "a")

    problem(delete(committed_api, "namespaces/test", confirm), 400, "not-confirmed")

    assert Event.objects.count() == 3
    assert Namespace.objects.exists()


def test_delete_namespace__goes_on_where_it_was_interrupted(
    committed_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "BATCH_COUNTERS", 2)
    fill(committed_api, *"abcde")

    def interrupt(so_far: deleting.Deleted) -> None:
        assert so_far == deleting.Deleted(2, 6)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deleting.delete_namespace("test", confirm="test", progress=interrupt)
    assert Counter.objects.count() == 3

    assert deleting.delete_namespace("test", confirm="test") == deleting.Deleted(3, 9)
    assert not any(ids_with_rows().values())


def test_delete_namespace__of_many_counters_takes_several_requests(
    committed_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request deletes for a bounded time; the time here is over after each batch."""
    monkeypatch.setattr(deleting, "BATCH_COUNTERS", 2)
    monkeypatch.setattr("counters.rest.views.DELETES_WITHIN", timedelta(0))
    fill(committed_api, *"abc")

    for gone in (2, 1):
        response = delete(committed_api, "namespaces/test", "test")
        body = problem(response, 503, "deletion-unfinished")
        assert (body["counters"], body["events"]) == (gone, 3 * gone)
        assert response["Retry-After"] == "1"

    assert delete(committed_api, "namespaces/test", "test").status_code == 204
    assert not any(ids_with_rows().values())
    assert not Namespace.objects.exists()


def test_delete_namespace__knows_one_that_took_the_name_a_moment_ago(
    committed_namespace: Namespace,
) -> None:
    """Another process deleted the namespace and made it anew; this one remembers the old."""
    remembered = lookup.get("test")
    Namespace.objects.all().delete()
    Namespace.objects.create(name="test")
    lookup._memory.keep("test", remembered)

    deleting.delete_namespace("test", confirm="test")

    assert not Namespace.objects.exists()


# --- Deleting while others write, in every order ---------------------------------------


@contextmanager
def on(
    other: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch, *modules: str
) -> Iterator[None]:
    with monkeypatch.context() as patch:
        for module in modules:
            patch.setattr(f"{module}.connections", {"default": other})
        yield


@pytest.fixture
def other() -> Iterator[BaseDatabaseWrapper]:
    """A second connection, so that one thread can put two transactions in order."""
    second = connection.copy()
    try:
        yield second
    finally:
        second.close()


def add_on(other: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    with on(other, monkeypatch, "counters.recording.record"):
        events.add(namespace="test", name="hits", delta=7)


@pytest.mark.parametrize("slot_is_new", [True, False])
def test_delete_counter__during_an_add_leaves_no_orphan_for_long(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    other: BaseDatabaseWrapper,
    monkeypatch: pytest.MonkeyPatch,
    threads: Threads,
    slot_is_new: bool,
) -> None:
    """The add begins before the deletion and commits during or after it.

    Where its connection has written the counter before, the deletion waits for its last
    write; then what it committed must go as well.
    """
    events.add(namespace="test", name="hits", delta=5)
    if not slot_is_new:
        add_on(other, monkeypatch)
    other.set_autocommit(False)
    add_on(other, monkeypatch)
    begun = threading.Event()

    def delete_it() -> None:
        begun.set()
        deleting.delete_counter(namespace="test", name="hits", confirm="hits")

    deletion = threads.submit(delete_it)
    assert begun.wait(TIMEOUT_SECONDS)
    if slot_is_new:
        deletion.result(TIMEOUT_SECONDS)
    else:
        wait_until_somebody_waits_for_a_lock()
    other.commit()
    deletion.result(TIMEOUT_SECONDS)

    while deleting.remove_orphans():
        pass
    assert not any(ids_with_rows().values())


def test_delete_counter__is_not_cut_off_by_a_time_out(committed_api: Api) -> None:
    """Cut off, it would begin anew with each retry, and a large counter stay for ever."""
    fill(committed_api, "hits")
    seen = []

    @receiver(counters_deleting)
    def look(**_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            seen.append(cursor.fetchone()[0])
        # As the web server's connections are, which give up where no answer comes.
        hasty = timeouts.connection_class(answer_within_seconds=0.1)
        with hasty.connect(**connection.get_connection_params()) as wire:
            try:
                wire.execute("SELECT pg_sleep(0.3)")
            except timeouts.ServerSilent:
                seen.append("gave up")

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '1min'")
    try:
        response = delete(committed_api, counter("hits"), "hits")
        assert response.status_code == 204
        look()
    finally:
        counters_deleting.disconnect(look)
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")

    assert seen == ["0", "1min", "gave up"]


def test_remove_orphans__leaves_what_is_no_orphan(committed_api: Api) -> None:
    fill(committed_api, "hits")
    before = ids_with_rows()

    assert deleting.remove_orphans() == 0
    assert ids_with_rows() == before


def test_delete_counter__takes_what_a_fold_under_way_writes(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    other: BaseDatabaseWrapper,
    monkeypatch: pytest.MonkeyPatch,
    threads: Threads,
) -> None:
    """The fold has written a new bucket, and is not committed when the deletion begins."""
    recorded = events.add(namespace="test", name="hits", delta=5)
    Rollup.objects.create(
        counter=Counter.objects.get(), namespace_id=committed_namespace.pk
    )
    other.set_autocommit(False)
    with other.cursor() as cursor:
        for statement in ("lock_rollups", "fold_events"):
            cursor.execute(
                load("rollups", statement), {"counter_ids": [recorded.counter_id]}
            )
    deletion = threads.submit(
        deleting.delete_counter, namespace="test", name="hits", confirm="hits"
    )
    wait_until_somebody_waits_for_a_lock()
    other.commit()
    deletion.result(TIMEOUT_SECONDS)

    assert not any(ids_with_rows().values())


@pytest.mark.parametrize("folded", [True, False])
def test_delete_counter__waits_for_a_clear_under_way(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    threads: Threads,
    folded: bool,
) -> None:
    events.add(namespace="test", name="hits", delta=5)
    if folded:
        fold_all()
    with transaction.atomic():
        clearing.clear(namespace="test", name="hits")
        deletion = threads.submit(
            deleting.delete_counter, namespace="test", name="hits", confirm="hits"
        )
        wait_until_somebody_waits_for_a_lock()
    deletion.result(TIMEOUT_SECONDS)

    assert not any(ids_with_rows().values())


@pytest.mark.parametrize("folded", [True, False])
def test_clear__of_a_counter_that_is_being_deleted_finds_none(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    threads: Threads,
    folded: bool,
) -> None:
    events.add(namespace="test", name="hits", delta=5)
    if folded:
        fold_all()
    with transaction.atomic():
        deleting.delete_counter(namespace="test", name="hits", confirm="hits")
        clear = threads.submit(clearing.clear, namespace="test", name="hits")
        wait_until_somebody_waits_for_a_lock()

    with pytest.raises(CounterNotFound):
        clear.result(TIMEOUT_SECONDS)
    assert not any(ids_with_rows().values())


def test_add__of_a_new_counter_whose_namespace_is_being_deleted_finds_none(
    committed_namespace: Namespace, triggers: list[list[int]], threads: Threads
) -> None:
    lookup.get("test")
    with transaction.atomic():
        Namespace.objects.filter(name="test").delete()
        # Another process still remembers the namespace.
        lookup._memory.keep("test", committed_namespace)
        add = threads.submit(events.add, namespace="test", name="hits")
        wait_until_somebody_waits_for_a_lock()

    with pytest.raises(CounterNotFound):
        add.result(TIMEOUT_SECONDS)


Add = Callable[[str | None], Recorded]
ADDS: dict[str, Add] = {
    "one": lambda token: events.add(namespace="test", name="hits", token=token),
    "batch": lambda token: events.add_many(
        [NewEvent("test", "hits", token=token), NewEvent("test", "other")]
    )[0],
}


@pytest.mark.parametrize("add", ADDS.values(), ids=ADDS)
def test_add__creates_a_counter_again_that_is_deleted_before_its_event(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
    add: Add,
) -> None:
    deletions = [1]

    def create_and_delete(*args: Any) -> None:
        create_counters(*args)
        if deletions:
            deletions.pop()
            deleting.delete_counter(namespace="test", name="hits", confirm="hits")

    monkeypatch.setattr("counters.recording.record.create_counters", create_and_delete)
    monkeypatch.setattr("counters.recording.batch.create_counters", create_and_delete)

    added = add(None)

    assert not deletions
    assert added.counter_id == Counter.objects.get(name="hits").pk
    assert Event.objects.filter(counter_id=added.counter_id).count() == 1


@pytest.mark.parametrize("token", ["order 17", tokens.new().text], ids=["text", "v7"])
def test_add__counts_again_where_its_first_use_is_deleted_before_the_answer(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
    token: str,
) -> None:
    first = ADDS["one"](token)
    deletions = [1]

    def delete_and_answer(*args: Any) -> Recorded | None:
        if deletions:
            deletions.pop()
            deleting.delete_counter(namespace="test", name="hits", confirm="hits")
        return answer_duplicate(*args)

    monkeypatch.setattr("counters.recording.record.answer_duplicate", delete_and_answer)

    again = ADDS["one"](token)

    assert not again.duplicate
    assert again.counter_id != first.counter_id
    assert Event.objects.get().counter_id == again.counter_id


def test_add_many__answers_a_duplicate_whose_first_use_is_deleted_before_the_answer(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ADDS["one"]("order 17")

    def delete_and_find(*args: Any) -> Any:
        deleting.delete_counter(namespace="test", name="hits", confirm="hits")
        return find_first_events(*args)

    monkeypatch.setattr("counters.recording.batch.find_first_events", delete_and_find)

    assert ADDS["batch"]("order 17").duplicate
    assert Event.objects.count() == 1  # the batch's other one


def test_add_and_get__of_a_counter_that_is_deleted_before_the_read_answers_0(
    committed_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add_and_delete(event: CheckedEvent) -> Recorded:
        added = record(event)
        deleting.delete_counter(namespace="test", name="hits", confirm="hits")
        return added

    monkeypatch.setattr("counters.rest.views.record", add_and_delete)

    body = answer(
        committed_api.post(f"{counter('hits')}/add?get=accurate", {"delta": 3})
    )

    assert (body["duplicate"], body["count"], body["accuracy"]) == (
        False,
        0,
        "accurate",
    )


def test_add_and_get__of_a_namespace_that_is_deleted_before_the_read_is_404(
    committed_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The add is deleted with its namespace: nothing is counted, and the answer says so."""

    def add_and_delete(event: CheckedEvent) -> Recorded:
        added = record(event)
        deleting.delete_namespace("test", confirm="test")
        return added

    monkeypatch.setattr("counters.rest.views.record", add_and_delete)

    problem(
        committed_api.post(f"{counter('hits')}/add?get=accurate", {"delta": 3}),
        404,
        "namespace-not-found",
    )

    assert not Event.objects.exists()


def test_delete_namespace__takes_a_counter_that_is_made_meanwhile(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    threads: Threads,
) -> None:
    with transaction.atomic():
        # Not committed: the deletion does not see it, and must wait for it.
        Counter.objects.create(namespace=committed_namespace, name="late")
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        deletion = threads.submit(deleting.delete_namespace, "test", confirm="test")
        wait_until_somebody_waits_for_a_lock()

    assert deletion.result(TIMEOUT_SECONDS) == deleting.Deleted(1, 0)
    assert not Namespace.objects.exists()


@pytest.mark.race
def test_delete_counter__while_many_add_leaves_nothing_uncounted(
    committed_namespace: Namespace, triggers: list[list[int]], threads: Threads
) -> None:
    """Whatever the order, each event left belongs to the counter that is there."""
    adders, rounds = 6, 25
    start = threading.Barrier(adders + 2, timeout=TIMEOUT_SECONDS)
    done = threading.Event()

    def add(number: int) -> None:
        start.wait()
        for _ in range(rounds):
            try:
                events.add(namespace="test", name="hits", token=None)
            except CounterNotFound:
                continue

    def keep_folding() -> None:
        start.wait()
        while not done.is_set():
            fold_all()

    def keep_deleting() -> None:
        start.wait()
        while not done.is_set():
            try:
                deleting.delete_counter(namespace="test", name="hits", confirm="hits")
            except CounterNotFound:
                continue

    background = [threads.submit(keep_folding), threads.submit(keep_deleting)]
    adding = [threads.submit(add, number) for number in range(adders)]
    try:
        for future in adding:
            future.result(TIMEOUT_SECONDS)
    finally:
        done.set()
    for future in background:
        future.result(TIMEOUT_SECONDS)
    while deleting.remove_orphans():
        pass
    fold_all()

    there = set(Counter.objects.values_list("pk", flat=True))
    assert all(ids <= there for ids in ids_with_rows().values())
    for rollup in Rollup.objects.all():
        deltas = Event.objects.filter(counter_id=rollup.pk).values_list(
            "delta", flat=True
        )
        assert rollup.total == sum(deltas)


def test_models__that_hold_counter_ids_are_all_deleted_with_them() -> None:
    """A table of counters that comes later must not be forgotten here."""
    named = {
        model
        for app in ("counters", "rollups")
        for model in apps.get_app_config(app).get_models()
        if any(field.name in {"counter", "counter_id"} for field in model._meta.fields)
    }

    assert named <= set(OF_COUNTERS)
