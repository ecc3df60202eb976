from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from fold_counters_client import (
    Client,
    NewEvent,
    NotFound,
    OutsideAcceptWindow,
    Problem,
    TokenConflict,
    UnexpectedAnswer,
    new_token,
)

from counters.models import Counter, CounterType, Namespace
from counters.recording import tokens
from rollups.folding import drain
from tests.client.conftest import ApplicationTransport


def test_new_token__is_one_whose_time_the_service_reads() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    event_time = tokens.parse(new_token()).event_time

    assert event_time is not None
    assert before <= event_time <= datetime.now(UTC)


@pytest.mark.parametrize(
    "name", ["hits", "page/home", "a/add", "50%", "%2F", "..", ".", "naïve ☃", "a?b#c"]
)
def test_client__adds_to_and_reads_any_name(client: Client, name: str) -> None:
    added = client.add("test", name, 3)
    read = client.get("test", name, accuracy="accurate")

    assert not added.duplicate
    assert (read.name, read.count, read.pending) == (name, 3, True)
    assert Counter.objects.get().name == name


def test_client__counts_beyond_64_bits(client: Client) -> None:
    client.add_many([NewEvent("test", "big", 2**63 - 1) for _ in range(3)])

    assert client.get("test", "big", accuracy="accurate").count == 3 * (2**63 - 1)


def test_client__adds_and_gets(client: Client) -> None:
    client.add("test", "hits", 2)

    added = client.add_and_get("test", "hits", 5, token="once")
    repeat = client.add_and_get("test", "hits", 5, token="once")

    assert (added.count, added.duplicate, added.accuracy) == (7, False, "accurate")
    assert (repeat.count, repeat.duplicate) == (7, True)


def test_client__clears(client: Client) -> None:
    client.add("test", "hits", 7)

    cleared = client.clear("test", "hits")
    repeat = client.clear("test", "hits", token=cleared.token)

    assert (cleared.count_before, cleared.duplicate) == (7, False)
    assert (repeat.count_before, repeat.duplicate) == (None, True)
    assert client.get("test", "hits", accuracy="accurate").count == 0


def test_client__splits_many_events_into_batches(client: Client) -> None:
    events = [NewEvent("test", f"c{i % 3}") for i in range(25)]

    recorded = client.add_many(events, batch_events=10)
    again = client.add_many(events, batch_events=10)

    assert [one.token for one in recorded] == [event.token for event in events]
    assert not any(one.duplicate for one in recorded)
    assert all(one.duplicate for one in again)


def test_client__says_what_was_recorded_before_a_bad_batch(client: Client) -> None:
    events = [NewEvent("test", "a"), NewEvent("test", "b"), NewEvent("nowhere", "c")]

    with pytest.raises(NotFound) as caught:
        client.add_many(events, batch_events=2)

    assert [one.token for one in caught.value.recorded] == [
        event.token for event in events[:2]
    ]
    assert caught.value.facts["index"] == 0


def test_client__lists_page_after_page(committing_client: Client) -> None:
    committing_client.add_many([NewEvent("test", f"c{i}", i) for i in range(1, 8)])
    list(drain.drain())

    top = list(committing_client.list("test", ordering="-count", page_counters=3))
    found = [one.name for one in committing_client.list("test", search="c3")]

    assert [one.count for one in top] == [7, 6, 5, 4, 3, 2, 1]
    assert found == ["c3"]


def test_client__reads_a_series(committing_client: Client) -> None:
    at = datetime.now(UTC).replace(minute=30, second=0, microsecond=0) - timedelta(
        hours=2
    )
    committing_client.add("test", "hits", 4, token="a", generation_time=at)
    list(drain.drain())

    series = committing_client.series(
        "test",
        "hits",
        bucket="hour",
        since=at - timedelta(hours=1),
        until=at,
        gaps=True,
    )

    assert (series.bucket, [one.delta for one in series.buckets]) == ("hour", [0, 4])
    assert series.buckets[1].at == at.replace(minute=0)


def test_client__sums_a_series(committing_client: Client) -> None:
    at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for hours in (0, 1, 2):
        committing_client.add(
            "test",
            "hits",
            10**hours,
            token=hours,
            generation_time=at - timedelta(hours=hours),
        )
    list(drain.drain())

    between = committing_client.total("test", "hits", since=at - timedelta(hours=1))
    whole = committing_client.total("test", "hits")

    assert (between.delta, between.events, between.until) == (11, 2, None)
    assert (whole.delta, whole.since, whole.pending) == (111, None, False)


def test_client__reads_many_at_once(
    client: Client, transport: ApplicationTransport
) -> None:
    client.add("test", "a", 2)
    client.add("test", "caf\u00e9", 2**62)
    names = ["a", "nobody", "cafe\u0301", "a", *(f"n{i}" for i in range(1_100))]
    transport.requests.clear()

    found = client.get_many("test", iter(names), accuracy="accurate")

    assert [one and one.count for one in found[:4]] == [2, None, 2**62, 2]
    assert found[2]
    assert (found[2].namespace, found[2].name) == ("test", "caf\u00e9")
    assert len(found) == len(names)
    assert len(transport.requests) == 2
    assert client.get_many("test", []) == []


def test_client__names_what_is_not_there(client: Client) -> None:
    with pytest.raises(NotFound, match="no counter 'nobody'") as counter:
        client.get("test", "nobody")
    with pytest.raises(NotFound, match="no namespace") as namespace:
        client.get("nowhere", "hits")

    assert counter.value.code == "counter-not-found"
    assert namespace.value.code == "namespace-not-found"


def test_client__sends_no_counter_name_in_a_path(
    committing_client: Client, transport: ApplicationTransport
) -> None:
    """A proxy that decodes or merges slashes would change the call to another counter."""
    name = "a//b"
    committing_client.add("test", name)
    committing_client.add_and_get("test", name)
    committing_client.add_many([NewEvent("test", name)])
    committing_client.get("test", name)
    committing_client.get_many("test", [name])
    committing_client.series("test", name)
    committing_client.total("test", name)
    committing_client.clear("test", name)
    committing_client.delete_counter("test", name)

    assert len(transport.requests) == 9
    for request in transport.requests:
        path = request.url.raw_path.decode().split("?")[0]
        assert "counters" not in path
        assert "a%2F" not in path


CALLS: dict[str, Callable[[Client], object]] = {
    "add": lambda client: client.add("test", "a//b"),
    "add_and_get": lambda client: client.add_and_get("test", "a//b"),
    "get": lambda client: client.get("test", "a//b"),
    "get_many": lambda client: client.get_many("test", ["a//b"]),
    "series": lambda client: client.series("test", "a//b"),
    "total": lambda client: client.total("test", "a//b"),
    "clear": lambda client: client.clear("test", "a//b"),
    "delete": lambda client: client.delete_counter("test", "a//b"),
}


@pytest.mark.parametrize("call", CALLS)
def test_client__notices_an_answer_about_another_counter(
    committing_client: Client, transport: ApplicationTransport, call: str
) -> None:
    committing_client.add("test", "a//b")
    committing_client.add("test", "a/b")
    transport.merge_slashes = True

    with pytest.raises(
        UnexpectedAnswer, match=r"'a//b', but the answer is about 'a/b'"
    ):
        CALLS[call](committing_client)


def test_client__manages_namespaces(client: Client) -> None:
    made = client.create_namespace("shop", counter_type="accurate")
    changed = client.change_namespace("shop", accept_past_seconds=3600)
    names = [one.name for one in client.namespaces()]
    client.add("shop", "a")
    client.delete_counter("shop", "a")
    client.delete_namespace("shop")

    assert (made.counter_type, changed.accept_past_seconds) == ("accurate", 3600)
    assert names == ["shop", "test"]
    with pytest.raises(NotFound):
        client.namespace("shop")


def test_client__adds_to_best_effort_namespaces(client: Client) -> None:
    Namespace.objects.create(name="cache", counter_type=CounterType.BEST_EFFORT)

    recorded = client.add("cache", "hits", best_effort=True)
    read = client.get("cache", "hits")
    cleared = client.clear("cache", "hits", best_effort=True)
    client.delete_counter("cache", "hits")

    assert recorded.token is None
    assert recorded.promise == read.promise == cleared.promise
    assert recorded.promise
    assert cleared.count_before == 1
    assert (read.count, read.accuracy) == (1, "best-effort")


def test_batcher__adds_to_best_effort_namespaces(client: Client) -> None:
    Namespace.objects.create(name="cache", counter_type=CounterType.BEST_EFFORT)
    with client.batcher(most_seconds=3600) as batch:
        for namespace in ("test", "cache", "nowhere", "cache"):
            batch.add(namespace, "hits")
        batch.flush()

    assert client.get("cache", "hits").count == 2
    assert client.get("test", "hits", accuracy="accurate").count == 1
    [refused] = batch.refused
    assert refused.event.namespace == "nowhere"
    # Without its place in the batch: the others were sent without it.
    assert str(refused.error).startswith("There is no namespace 'nowhere'")
    assert "batch" not in str(refused.error)
    assert refused.error.token == refused.event.token
    client.delete_counter("cache", "hits")


def test_problem__carries_its_fields(client: Client) -> None:
    client.add("test", "hits", 2**62, token="t")

    with pytest.raises(TokenConflict) as conflict:
        client.add("test", "hits", 2, token="t")
    with pytest.raises(OutsideAcceptWindow) as outside:
        client.add(
            "test",
            "hits",
            token="old",
            generation_time=datetime(2020, 1, 1, tzinfo=UTC),
        )
    with pytest.raises(Problem) as invalid:
        client.add("test", "a ", 2)

    assert conflict.value.facts["first_delta"] == 2**62
    assert (conflict.value.status, conflict.value.token) == (409, "t")
    assert outside.value.facts["event_time"] == "2020-01-01T00:00:00Z"
    assert (invalid.value.code, invalid.value.facts["field"]) == ("invalid", "name")
