from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from psycopg import ClientCursor

from counters import events
from counters.errors import (
    BatchRefused,
    InvalidValue,
    MissingValue,
    NamespaceNotFound,
    OutsideAcceptWindow,
    TokenConflict,
)
from counters.models import Claim, Event, LastWrite, Namespace
from counters.namespaces import lookup
from counters.recording import tokens
from counters.recording.batch import add_all
from counters.recording.duplicates import Recorded
from counters.recording.record import record
from counters.recording.validation import check_event
from rollups.reading import clear

pytestmark = pytest.mark.usefixtures("triggers")


def test_add__without_a_token_counts_each_time(namespace: Namespace) -> None:
    at = datetime.now(UTC) - timedelta(hours=1)
    answers = [
        events.add(namespace="test", name="hits", generation_time=at) for _ in range(3)
    ]
    answers += events.add_many(
        [events.NewEvent("test", "hits", generation_time=at)] * 2
    )

    assert {(one.token, one.event_time, one.duplicate) for one in answers} == {
        (None, at, False)
    }
    assert Event.objects.filter(token=None, event_time=at).count() == 5


def test_add__without_a_token_or_a_time_takes_the_databases(
    namespace: Namespace,
) -> None:
    """In one transaction too: each statement has its own time."""
    with transaction.atomic():
        first = events.add(namespace="test", name="hits")
        [second] = events.add_many([events.NewEvent("test", "hits")])

    assert first.event_time < second.event_time
    assert list(Event.objects.order_by("event_time").values_list("event_time")) == [
        (first.event_time,),
        (second.event_time,),
    ]


@pytest.mark.parametrize("offset", [timedelta(days=-2), timedelta(hours=1)])
def test_add__without_a_token_keeps_to_the_accept_window(
    namespace: Namespace, offset: timedelta
) -> None:
    at = datetime.now(UTC) + offset
    with pytest.raises(OutsideAcceptWindow):
        events.add(namespace="test", name="hits", generation_time=at)

    assert not Event.objects.exists()


def test_add__appends_one_event_and_one_last_write(namespace: Namespace) -> None:
    recorded = events.add(namespace="test", name="hits", delta=3)

    event = Event.objects.get()
    last_write = LastWrite.objects.get()
    assert (event.counter_id, event.delta) == (recorded.counter_id, 3)
    assert (event.token, recorded.token) == (None, None)
    assert event.event_time == recorded.event_time == last_write.written_at
    assert last_write.counter_id == recorded.counter_id
    assert last_write.xid == event.xid
    assert (
        last_write.oldest_event_time == last_write.newest_event_time == event.event_time
    )
    assert not recorded.duplicate


@pytest.mark.parametrize("in_a_batch", [False, True])
@pytest.mark.parametrize(("late", "counts"), [(0, False), (1, True)])
def test_add__of_a_token_without_a_time_repeats_up_to_the_windows_end(
    namespace: Namespace, in_a_batch: bool, late: int, counts: bool
) -> None:
    begun = datetime.now(UTC)

    def use(now: datetime) -> Recorded:
        event = check_event(
            namespace="test", name="hits", delta=1, token="order", now=now
        )
        return add_all([event])[0] if in_a_batch else record(event)

    use(begun)
    end = begun + namespace.accept_past

    again = use(end + timedelta(microseconds=late))

    assert again.duplicate is not counts
    assert Event.objects.count() == 1 + counts


@pytest.mark.parametrize(("outside", "accepted"), [(0, True), (1, False)])
@pytest.mark.parametrize("past", [True, False])
def test_add__takes_the_accept_windows_edges(
    namespace: Namespace, past: bool, outside: int, accepted: bool
) -> None:
    now, beyond = datetime.now(UTC), timedelta(microseconds=outside)
    at = (
        now - namespace.accept_past - beyond
        if past
        else now + namespace.accept_future + beyond
    )

    def check() -> None:
        check_event(
            namespace="test",
            name="hits",
            delta=1,
            token="t",
            generation_time=at,
            now=now,
        )

    if accepted:
        check()
    else:
        with pytest.raises(OutsideAcceptWindow):
            check()


def test_add__is_one_statement(namespace: Namespace) -> None:
    events.add(namespace="test", name="hits")

    with CaptureQueriesContext(
        connection,
    ) as queries:
        events.add(namespace="test", name="hits")

    assert len(queries) == 1


def frontend_syncs(do: Callable[[], object]) -> int:
    """Count the round trips of `do`, as libpq's own trace of the wire tells them."""
    connection.ensure_connection()
    with tempfile.TemporaryFile("w+b") as file:
        connection.connection.pgconn.trace(file.fileno())
        try:
            do()
        finally:
            connection.connection.pgconn.untrace()
        file.seek(0)
        lines = file.read().decode().splitlines()
    kinds = [line.split("\t") for line in lines]
    return sum(fields[1] == "F" and fields[3] in {"Sync", "Query"} for fields in kinds)


@pytest.mark.django_db(transaction=True)
def test_add__outside_a_transaction_is_one_round_trip(
    committed_namespace: Namespace,
) -> None:
    def add() -> None:
        events.add(namespace="test", name="hits")

    # The sixth use prepares the statement, once a connection.
    for _ in range(7):
        add()

    assert frontend_syncs(add) == 1


@pytest.mark.django_db(transaction=True)
def test_add_many__outside_a_transaction_is_one_round_trip(
    committed_namespace: Namespace,
) -> None:
    def add() -> None:
        events.add_many([events.NewEvent("test", f"hits {i}") for i in range(100)])

    for _ in range(7):
        add()

    assert frontend_syncs(add) == 1


@pytest.mark.django_db(transaction=True)
def test_frontend_syncs__sees_a_transaction_block(
    committed_namespace: Namespace,
) -> None:
    def add_in_a_block() -> None:
        with transaction.atomic():
            events.add(namespace="test", name="hits")

    for _ in range(7):
        add_in_a_block()

    assert frontend_syncs(add_in_a_block) == 3


def test_add__keeps_one_last_write_per_connection(namespace: Namespace) -> None:
    early = datetime.now(UTC) - timedelta(hours=3)
    events.add(namespace="test", name="hits")
    first = LastWrite.objects.get()

    events.add(namespace="test", name="hits", token="t", generation_time=early)

    last_write = LastWrite.objects.get()
    assert last_write.pending_since == first.pending_since
    assert last_write.oldest_event_time == early
    assert last_write.newest_event_time == first.newest_event_time


@pytest.mark.django_db(transaction=True)
def test_add__rolls_back_with_the_callers_transaction(
    committed_namespace: Namespace, triggers: list[list[int]]
) -> None:
    with transaction.atomic():
        events.add(namespace="test", name="hits")
        transaction.set_rollback(True)

    assert not Event.objects.exists()
    assert not LastWrite.objects.exists()
    assert triggers == []


@pytest.mark.django_db(transaction=True)
def test_add__announces_once_a_transaction_for_all_its_counters(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    counter_id: Callable[[str], int],
) -> None:
    with transaction.atomic():
        for name in ("a", "b", "a", "c"):
            events.add(namespace="test", name=name)
        assert triggers == []

    assert triggers == [sorted(counter_id(name) for name in "abc")]


@pytest.mark.django_db(transaction=True)
def test_add__announces_what_a_rolled_back_savepoint_does_not_undo(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    counter_id: Callable[[str], int],
) -> None:
    with transaction.atomic():
        with transaction.atomic():
            events.add(namespace="test", name="undone")
            transaction.set_rollback(True)
        events.add(namespace="test", name="kept")

    [fired] = triggers
    assert counter_id("kept") in fired
    assert Event.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_add__announces_once_what_came_in_savepoints_that_were_kept(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    counter_id: Callable[[str], int],
) -> None:
    with transaction.atomic():
        with transaction.atomic():
            with transaction.atomic():
                events.add(namespace="test", name="inner")
            events.add(namespace="test", name="outer")
        with transaction.atomic():
            events.add(namespace="test", name="undone")
            transaction.set_rollback(True)
        events.add(namespace="test", name="last")

    [fired] = triggers
    assert {counter_id(name) for name in ("inner", "outer", "last")} <= set(fired)


@pytest.mark.django_db(transaction=True)
def test_add__survives_a_receiver_that_fails(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr("rollups.trigger.publisher.Publisher.put", fail)

    events.add(namespace="test", name="hits")
    with transaction.atomic():
        events.add(namespace="test", name="hits")

    assert Event.objects.count() == 2


def test_add__leaves_a_counter_that_others_see_when_the_caller_rolls_back(
    committed_namespace: Namespace, threads: object
) -> None:
    with transaction.atomic():
        events.add(namespace="test", name="new")
        transaction.set_rollback(True)

    assert committed_namespace.counter_set.filter(name="new").exists()


TOKENS: dict[str, Callable[[], str]] = {
    "uuidv7": lambda: tokens.new().text,
    "uuidv4": lambda: str(uuid4()),
    "text": lambda: "order 17 ☃",
}


@pytest.mark.parametrize("kind", TOKENS)
def test_add__counts_a_token_once(namespace: Namespace, kind: str) -> None:
    token = TOKENS[kind]()

    first = events.add(namespace="test", name="hits", delta=4, token=token)
    again = events.add(namespace="test", name="hits", delta=4, token=token)

    assert not first.duplicate
    assert again.duplicate
    assert (again.token, again.event_time) == (token, first.event_time)
    assert Event.objects.count() == 1
    assert LastWrite.objects.count() == 1


@pytest.mark.parametrize("kind", TOKENS)
def test_add__refuses_a_token_with_another_delta(
    namespace: Namespace, kind: str
) -> None:
    token = TOKENS[kind]()
    events.add(namespace="test", name="hits", delta=4, token=token)

    with pytest.raises(TokenConflict, match=r"delta 4; .* delta 5") as raised:
        events.add(namespace="test", name="hits", delta=5, token=token)

    assert raised.value.extra == {"token": token, "first_delta": 4, "delta": 5}
    assert Event.objects.get().delta == 4


@pytest.mark.parametrize("kind", TOKENS)
def test_add__takes_one_token_on_several_counters(
    namespace: Namespace, kind: str
) -> None:
    token = TOKENS[kind]()

    answers = [events.add(namespace="test", name=name, token=token) for name in "abc"]

    assert not any(answer.duplicate for answer in answers)
    assert Event.objects.count() == 3


def test_add__takes_the_time_of_a_uuidv7(namespace: Namespace) -> None:
    made_at = datetime.now(UTC).replace(microsecond=123_000) - timedelta(minutes=10)
    token = tokens.new(made_at)

    recorded = events.add(namespace="test", name="hits", token=token.text)

    assert recorded.event_time == made_at


def test_add__prefers_the_generation_time_to_that_of_a_uuidv7(
    namespace: Namespace,
) -> None:
    """The token is an order's primary key, made long before the event."""
    now = datetime.now(UTC)
    order = tokens.new(now - timedelta(days=30)).text
    at = now - timedelta(hours=1)

    first, again = (
        events.add(namespace="test", name="hits", token=order, generation_time=at)
        for _ in range(2)
    )
    [in_a_batch] = events.add_many(
        [events.NewEvent("test", "hits", 1, order, generation_time=at)]
    )

    assert (first.event_time, first.duplicate) == (at, False)
    assert again.duplicate
    assert in_a_batch.duplicate
    assert in_a_batch.event_time == at


def test_add__takes_a_uuidv7_of_any_year_with_a_generation_time(
    namespace: Namespace,
) -> None:
    token = "ffffffff-ffff-7fff-bfff-ffffffffffff"
    at = datetime.now(UTC)

    recorded = events.add(
        namespace="test", name="hits", token=token, generation_time=at
    )

    assert recorded.event_time == at
    with pytest.raises(InvalidValue, match="year 9999"):
        events.add(namespace="test", name="hits", token=token)


@pytest.mark.parametrize("off", [timedelta(0), timedelta(seconds=-1), tokens.AGREEMENT])
def test_add__takes_the_time_of_a_uuidv7_that_agrees_with_the_generation_time(
    namespace: Namespace, off: timedelta
) -> None:
    """So a retry may leave the time out, and the two times may be rounded differently."""
    made_at = datetime.now(UTC).replace(microsecond=123_000) - timedelta(minutes=10)
    token = tokens.new(made_at).text

    recorded = events.add(
        namespace="test", name="hits", token=token, generation_time=made_at + off
    )
    again = events.add(namespace="test", name="hits", token=token)

    assert recorded.event_time == made_at
    assert again.duplicate


def test_add__of_an_old_uuidv7_says_how_to_count_it(namespace: Namespace) -> None:
    order = tokens.new(datetime.now(UTC) - timedelta(days=30)).text

    with pytest.raises(OutsideAcceptWindow, match="send it as generation_time"):
        events.add(namespace="test", name="hits", token=order)

    old = datetime.now(UTC) - timedelta(days=20)
    with pytest.raises(OutsideAcceptWindow) as refused:
        events.add(namespace="test", name="hits", token=order, generation_time=old)
    assert "UUIDv7" not in refused.value.message


def test_add__finds_the_first_use_that_came_with_a_generation_time(
    namespace: Namespace,
) -> None:
    at = datetime.now(UTC) - timedelta(hours=2)
    events.add(namespace="test", name="hits", token="order", generation_time=at)

    again = events.add(namespace="test", name="hits", token="order")

    assert again.duplicate
    assert again.event_time == at


def test_add__takes_a_token_anew_when_its_claim_has_expired(
    namespace: Namespace,
) -> None:
    events.add(namespace="test", name="hits", delta=1, token="order")
    two_days = timedelta(days=2)
    for model in (Event, Claim):
        row = model.objects.get()
        model.objects.all().delete()
        row.event_time -= two_days
        if isinstance(row, Claim):
            row.expires_at -= two_days
        row.save(force_insert=True)

    again = events.add(namespace="test", name="hits", delta=7, token="order")

    assert not again.duplicate
    assert set(Event.objects.values_list("delta", flat=True)) == {1, 7}
    assert Claim.objects.get().delta == 7


@pytest.mark.parametrize(
    ("offset", "accepted"),
    [
        (timedelta(hours=-24, seconds=-5), False),
        (timedelta(hours=-24, seconds=5), True),
        (timedelta(minutes=5, seconds=-5), True),
        (timedelta(minutes=5, seconds=5), False),
    ],
)
def test_add__keeps_to_the_accept_window(
    namespace: Namespace, offset: timedelta, accepted: bool
) -> None:
    at = datetime.now(UTC) + offset

    def add() -> None:
        events.add(namespace="test", name="hits", token="t", generation_time=at)

    if accepted:
        add()
        assert Event.objects.get().event_time == at
    else:
        with pytest.raises(OutsideAcceptWindow, match=r"accept window: .* from .* to "):
            add()
        assert not Event.objects.exists()


@pytest.mark.parametrize(
    "delta", [2**63, -(2**63) - 1, 10**30, 0.5, 1.0, "3", True, [], {}]
)
def test_add__refuses_what_is_no_delta(namespace: Namespace, delta: object) -> None:
    with pytest.raises(InvalidValue, match=r"delta: .* is not a whole number from"):
        events.add(namespace="test", name="hits", delta=delta)  # type: ignore[arg-type]

    assert not Event.objects.exists()


def test_add__refuses_a_missing_delta(namespace: Namespace) -> None:
    with pytest.raises(MissingValue, match="delta: missing"):
        events.add(namespace="test", name="hits", delta=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("delta", [2**63 - 1, -(2**63), 0])
def test_add__takes_the_whole_range_of_deltas(namespace: Namespace, delta: int) -> None:
    events.add(namespace="test", name="hits", delta=delta)

    assert Event.objects.get().delta == delta


@pytest.mark.parametrize(
    "name", ["", "x" * 201, "a\nb", "a\0b", "\x7f", "\ud800", 3, None]
)
def test_add__refuses_what_is_no_counter_name(
    namespace: Namespace, name: object
) -> None:
    with pytest.raises((InvalidValue, MissingValue), match=r"^name: "):
        events.add(namespace="test", name=name)  # type: ignore[arg-type]

    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "name", ["x", "é" * 200, "a/b%2F 100%", "☃ snow", "🙂", "null", "'; --"]
)
def test_add__takes_any_text_as_a_counter_name(namespace: Namespace, name: str) -> None:
    events.add(namespace="test", name=name)

    assert namespace.counter_set.get().name == name


@pytest.mark.parametrize("name", ["nowhere", "", "a\0b", "\ud800"])
def test_add__names_an_unknown_namespace(db: None, name: str) -> None:
    with pytest.raises(NamespaceNotFound, match="no namespace"):
        events.add(namespace=name, name="hits")


@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        "  ",
        "\u2800",
        "\u3164 \ufe0f",
        "x" * 256,
        "a\0b",
        "\ud800",
        True,
        False,
        7.0,
        b"7",
        10**255,
        ["7"],
    ],
)
def test_add__refuses_what_is_no_token(namespace: Namespace, token: object) -> None:
    with pytest.raises(InvalidValue, match=r"^token: "):
        events.add(namespace="test", name="hits", token=token)  # type: ignore[arg-type]


@pytest.mark.parametrize("token", [" a", "a ", "❤\ufe0f", "\u2800a"])
def test_add__takes_a_token_with_spaces_around_what_can_be_seen(
    namespace: Namespace, token: str
) -> None:
    first = events.add(namespace="test", name="hits", token=token)
    again = events.add(namespace="test", name="hits", token=token)

    assert first.token == token
    assert again.duplicate


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (17, "17"),
        (-3, "-3"),
        (0, "0"),
        (10**254, str(10**254)),
        (
            UUID("6F9619FF-8B86-4011-B42D-00C04FC964FF"),
            "6f9619ff-8b86-4011-b42d-00c04fc964ff",
        ),
    ],
)
def test_add__takes_numbers_and_uuids_as_tokens(
    namespace: Namespace, token: int | UUID, text: str
) -> None:
    first = events.add(namespace="test", name="hits", token=token)
    again = events.add(namespace="test", name="hits", token=text)
    [batch] = events.add_many([events.NewEvent("test", "hits", token=token)])
    cleared = clear.clear(namespace="test", name="hits", token=token)
    repeat = clear.clear(namespace="test", name="hits", token=text)

    assert first.token == again.token == batch.token == cleared.token == text
    assert not first.duplicate
    assert again.duplicate
    assert batch.duplicate
    assert repeat.duplicate


def test_token__of_hex_digits_is_a_uuid_with_dashes_only(namespace: Namespace) -> None:
    """A hash has 32 hex digits too, and some would pass for a UUIDv7 of a time far away."""
    uuid = tokens.new().text

    added = [
        events.add(namespace="test", name="hits", token=token)
        for token in (uuid, uuid.upper(), uuid.replace("-", ""), "f" * 12 + "7fff" * 5)
    ]

    assert [one.duplicate for one in added] == [False, True, False, False]


def test_add__sees_a_changed_namespace_at_once_in_this_process(
    namespace: Namespace,
) -> None:
    old = datetime.now(UTC) - timedelta(days=2)
    with pytest.raises(OutsideAcceptWindow):
        events.add(namespace="test", name="hits", token="t", generation_time=old)

    namespace.accept_past = timedelta(days=3)
    namespace.save()

    events.add(namespace="test", name="hits", token="t", generation_time=old)


@pytest.mark.parametrize("in_a_batch", [False, True])
@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 2)])
def test_add__repeats_the_use_of_a_token_that_is_good_and_not_one_that_is_spent(
    namespace: Namespace, first: int, second: int, in_a_batch: bool
) -> None:
    """A token used every day: today's retry repeats today's event, not yesterday's."""

    def use(delta: int) -> Recorded:
        if in_a_batch:
            event = events.NewEvent("test", "hits", delta, "daily")
            return events.add_many([event])[0]
        return events.add(namespace="test", name="hits", delta=delta, token="daily")

    begun = datetime.now(UTC)
    with time_machine.travel(begun, tick=False) as clock:
        use(first)
        clock.move_to(begun + timedelta(hours=24, seconds=1))
        today = use(second)
        clock.move_to(begun + timedelta(hours=24, seconds=2))
        again = use(second)

    assert not today.duplicate
    assert again.duplicate
    assert again.event_time == today.event_time
    assert list(
        Event.objects.order_by("event_time").values_list("delta", flat=True)
    ) == [
        first,
        second,
    ]


def test_add__answers_a_repeat_whatever_became_of_the_window(
    namespace: Namespace,
) -> None:
    """The first use keeps the window that it was made in."""
    Namespace.objects.update(accept_future=timedelta(hours=2))
    lookup.forget_all()
    ahead = datetime.now(UTC) + timedelta(hours=1)
    events.add(namespace="test", name="a", token="t", generation_time=ahead)
    events.add(namespace="test", name="b", token="t")
    Namespace.objects.update(
        accept_future=timedelta(0), accept_past=timedelta(seconds=1)
    )
    lookup.forget_all()
    later = datetime.now(UTC) + timedelta(minutes=5)

    with time_machine.travel(later, tick=False):
        answers = [events.add(namespace="test", name=name, token="t") for name in "ab"]

    assert all(answer.duplicate for answer in answers)
    assert answers[0].event_time == ahead


@pytest.mark.parametrize("binding", ["client", "server"])
@pytest.mark.parametrize(
    "token", [None, "order", "019b76da-a800-7000-8000-0123456789ab"]
)
def test_add__takes_the_least_delta(
    namespace: Namespace,
    monkeypatch: pytest.MonkeyPatch,
    binding: str,
    token: str | None,
) -> None:
    """Whichever way the project's connections send parameters."""
    watch: Any = nullcontext()
    if binding == "client":
        # A watched statement passes through Django's cursor.
        monkeypatch.setattr(connection.connection, "cursor_factory", ClientCursor)
        watch = CaptureQueriesContext(connection)
    with watch:
        events.add(
            namespace="test",
            name="hits",
            delta=-(2**63),
            token=token,
            generation_time=datetime.now(UTC),
        )

    assert Event.objects.get().delta == -(2**63)


@pytest.mark.parametrize("given", ["2026-11-28T05:00:00Z", datetime.now(UTC).date(), 5])
def test_add__names_a_generation_time_of_a_wrong_type(
    namespace: Namespace, given: Any
) -> None:
    with pytest.raises(InvalidValue, match=r"generation_time: .* is not a datetime"):
        events.add(namespace="test", name="hits", generation_time=given)


@pytest.mark.parametrize("given", [{"namespace": "test"}, ("test", "hits")])
def test_add_many__names_an_event_of_a_wrong_type(
    namespace: Namespace, given: Any
) -> None:
    with pytest.raises(BatchRefused, match=r"events\[1\]: event: .* is not a counters"):
        events.add_many([events.NewEvent("test", "hits"), given])
