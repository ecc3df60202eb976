from __future__ import annotations

import os
from collections import Counter as CounterOf
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counters import events as record
from counters.errors import BatchRefused, InvalidValue, TokenConflict
from counters.events import NewEvent
from counters.models import Claim, Counter, Event, LastWrite, Namespace
from counters.recording import batch as batches
from counters.recording.duplicates import Recorded
from counters.recording.record import record as record_one
from counters.recording.validation import CheckedEvent, check_event
from tests.factories import every_kind, timed_and_untimed

pytestmark = pytest.mark.usefixtures("triggers")


def test_add_many__is_one_statement(namespace: Namespace) -> None:
    events = [NewEvent("test", f"hits {i % 7}") for i in range(50)]
    record.add_many(events)

    with CaptureQueriesContext(connection) as queries:
        record.add_many(events)

    assert len(queries) == 1
    assert Event.objects.count() == 100
    assert LastWrite.objects.count() == 7


def test_add_many__answers_in_order(
    namespace: Namespace, counter_id: Callable[[str], int]
) -> None:
    names = ["b", "a", "c", "a"]

    recorded = record.add_many(
        [NewEvent("test", name, i) for i, name in enumerate(names)]
    )

    assert [one.counter_id for one in recorded] == [counter_id(name) for name in names]
    assert {one.token for one in recorded} == {None}


def test_add_many__of_events_with_and_without_tokens_answers_in_order(
    namespace: Namespace,
) -> None:
    batch = [
        NewEvent("test", "a", 1),
        NewEvent("test", "b", 2, "order 1"),
        NewEvent("test", "c", 3),
        NewEvent("test", "a", 4, "order 2"),
        NewEvent("test", "b", 2, "order 1"),
    ]

    first = record.add_many(batch)
    again = record.add_many(batch)

    expected = [None, "order 1", None, "order 2", "order 1"]
    assert [one.token for one in first] == expected
    assert [one.duplicate for one in first] == [False, False, False, False, True]
    assert [one.duplicate for one in again] == [False, True, False, True, True]
    assert sorted(Event.objects.values_list("delta", flat=True)) == [1, 1, 2, 3, 3, 4]


@pytest.mark.parametrize(("delta", "refused"), [(1, False), (2, True)])
def test_add_many__knows_a_token_again_beside_events_without_one(
    namespace: Namespace, delta: int, refused: bool
) -> None:
    """The index of an event in the batch is not its place among those with tokens."""
    batch = [
        NewEvent("test", "other"),
        NewEvent("test", "hits", 1, "order 1", datetime.now(UTC)),
        NewEvent("test", "hits", delta, "order 1"),
    ]

    if refused:
        with pytest.raises(BatchRefused, match=r"^events\[2\]: token"):
            record.add_many(batch)
    else:
        assert [one.duplicate for one in record.add_many(batch)] == [False, False, True]


def test_add_many__with_a_conflict_records_nothing_without_a_token_either(
    namespace: Namespace,
) -> None:
    record.add(namespace="test", name="hits", token="order 1")

    with pytest.raises(BatchRefused, match=r"events\[1\]: token"):
        record.add_many(
            [NewEvent("test", "other"), NewEvent("test", "hits", 2, "order 1")]
        )

    assert Event.objects.count() == 1


def test_add_many__of_nothing_is_nothing(namespace: Namespace) -> None:
    assert record.add_many([]) == []


@every_kind
def test_add_many__counts_a_token_once_within_and_across_batches(
    namespace: Namespace, token: str
) -> None:
    batch = [NewEvent("test", "hits", 2, token), NewEvent("test", "hits", 2, token)]

    first = record.add_many(batch)
    again = record.add_many([NewEvent("test", "other"), *batch])

    assert [one.duplicate for one in first] == [False, True]
    assert [one.duplicate for one in again] == [False, True, True]
    assert {one.event_time for one in first} == {one.event_time for one in again[1:]}
    assert Event.objects.count() == 2


def test_add_many__takes_an_untimed_token_as_a_repeat_of_a_timed_one(
    namespace: Namespace,
) -> None:
    at = datetime.now(UTC) - timedelta(hours=1)

    recorded = record.add_many(
        [NewEvent("test", "hits", 1, "t", at), NewEvent("test", "hits", 1, "t")]
    )

    assert [one.duplicate for one in recorded] == [False, True]
    assert recorded[1].event_time == at


def test_add_many__takes_one_token_on_several_counters(namespace: Namespace) -> None:
    recorded = record.add_many(
        [NewEvent("test", name, 1, "page view") for name in "abc"]
    )

    assert not any(one.duplicate for one in recorded)


@timed_and_untimed
def test_add_many__refuses_the_batch_for_a_conflict_with_an_earlier_event(
    namespace: Namespace, token: str
) -> None:
    record.add(namespace="test", name="a b", delta=1, token=token)
    good = [NewEvent("test", name) for name in ("c", "d")]

    with pytest.raises(
        BatchRefused, match=r"^events\[2\]: token .* delta 1; .* delta 5"
    ) as raised:
        record.add_many([*good, NewEvent("test", "a b", 5, token)])

    assert raised.value.index == 2
    assert isinstance(raised.value.cause, TokenConflict)


@pytest.mark.django_db(transaction=True)
@timed_and_untimed
def test_add_many__leaves_nothing_of_a_refused_batch(
    committed_namespace: Namespace, token: str
) -> None:
    record.add(namespace="test", name="a", delta=1, token=token)
    names = [f"new {i}" for i in range(20)]

    with pytest.raises(BatchRefused):
        record.add_many(
            [
                *(NewEvent("test", name) for name in names),
                NewEvent("test", "a", 5, token),
            ]
        )

    assert Event.objects.count() == 1
    assert LastWrite.objects.count() == 1
    assert Claim.objects.count() == (token == "order 17")


def test_add_many__refuses_a_conflict_within_the_batch(namespace: Namespace) -> None:
    with pytest.raises(BatchRefused, match=r"^events\[1\]: token 't'"):
        record.add_many([NewEvent("test", "a", 1, "t"), NewEvent("test", "a", 2, "t")])

    assert not Event.objects.exists()


def test_add_many__names_the_conflicting_one_of_two_times_of_a_token(
    namespace: Namespace,
) -> None:
    late = datetime.now(UTC)
    early = late - timedelta(hours=1)
    record.add(namespace="test", name="a", delta=3, token="t", generation_time=early)

    with pytest.raises(BatchRefused) as raised, transaction.atomic():
        record.add_many(
            [NewEvent("test", "a", 5, "t", late), NewEvent("test", "a", 5, "t", early)]
        )

    assert raised.value.index == 1


def test_add_many__names_the_use_without_a_time_though_another_has_the_same_time(
    namespace: Namespace,
) -> None:
    now = datetime.now(UTC)

    with (
        time_machine.travel(now, tick=False),
        pytest.raises(BatchRefused) as raised,
        transaction.atomic(),
    ):
        batches.add_all(_checked([("a", 0, 2), ("a", 1, 1), ("a", None, 2)], "hits"))

    assert raised.value.index == 2


def test_add_many__asks_the_first_use_before_it_refuses_a_duplicate_within(
    namespace: Namespace,
) -> None:
    """The first of the two contradicts what is there, the second does not."""
    record.add(namespace="test", name="a", delta=1, token="t")

    with pytest.raises(BatchRefused) as raised, transaction.atomic():
        record.add_many([NewEvent("test", "a", 2, "t"), NewEvent("test", "a", 1, "t")])

    assert raised.value.index == 0


# A token, hours before now (None: no generation time), and a delta.
Use = tuple[str | None, int | None, int]
USES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.sampled_from([None, 0, 1, 2, 30]),
        st.sampled_from([1, 2]),
    ),
    max_size=6,
)


# A longer run: this test with BATCH_EXAMPLES=1000.
EXAMPLES = int(os.environ.get("BATCH_EXAMPLES", "50"))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(yesterday=USES, today=USES, batch=USES)
def test_add_many__is_as_adding_one_by_one(
    namespace: Namespace, yesterday: list[Use], today: list[Use], batch: list[Use]
) -> None:
    now = datetime.now(UTC)
    # A token belongs to a counter, so the three do not see each other.
    single, whole, imported = names = [f"{uuid4()}" for _ in range(3)]
    # Otherwise each first add in this transaction would open a connection to create its counter.
    Counter.objects.bulk_create(
        Counter(namespace=namespace, name=name) for name in names
    )
    with time_machine.travel(now - timedelta(hours=25), tick=False) as clock:
        for name in names:
            _one_by_one(_checked(yesterday, name))
        clock.move_to(now)
        for name in names:
            _one_by_one(_checked(today, name))

        answers, refused = _one_by_one(_checked(batch, single))
        if refused:
            with pytest.raises(BatchRefused) as raised, transaction.atomic():
                batches.add_all(_checked(batch, whole))
            assert raised.value.index in refused
        else:
            assert _shown(batches.add_all(_checked(batch, whole))) == _shown(answers)
            assert _events(whole) == _events(single)
        assert _set_aside(_checked(batch, imported)) == refused

    assert _events(imported) == _events(single)


def _checked(uses: Sequence[Use], name: str) -> list[CheckedEvent]:
    now = datetime.now(UTC)
    return [
        check_event(
            namespace="test",
            name=name,
            delta=delta,
            token=token,
            # An event with neither has the database's time, which is never the same twice.
            generation_time=None
            if hours is None and token
            else now - timedelta(hours=hours or 0),
            now=now,
            any_age=True,
        )
        for token, hours, delta in uses
    ]


def _one_by_one(events: Sequence[CheckedEvent]) -> tuple[list[Recorded], set[int]]:
    """Return the answers, and the indexes of those that were refused."""
    answers: list[Recorded] = []
    refused: set[int] = set()
    for index, event in enumerate(events):
        try:
            answers.append(record_one(event))
        except TokenConflict:
            refused.add(index)
    return answers, refused


def _set_aside(events: Sequence[CheckedEvent]) -> set[int]:
    """Add as an import does, without the refused events; return their indexes."""
    left = list(enumerate(events))
    refused: set[int] = set()
    while True:
        try:
            with transaction.atomic():
                batches.add_all([event for _, event in left])
        except BatchRefused as error:
            index, _ = left.pop(error.index)
            refused.add(index)
        else:
            return refused


def _shown(answers: Sequence[Recorded]) -> list[tuple[datetime, bool]]:
    return [(one.event_time, one.duplicate) for one in answers]


def _events(name: str) -> CounterOf[tuple[object, ...]]:
    ids = Counter.objects.filter(name=name).values_list("pk", flat=True)
    found = Event.objects.filter(counter_id__in=ids)
    return CounterOf(found.values_list("token", "event_time", "delta"))


def test_add_many__names_the_index_of_a_bad_event(namespace: Namespace) -> None:
    with pytest.raises(BatchRefused, match=r"^events\[1\]: name: '' is not") as raised:
        record.add_many([NewEvent("test", "a"), NewEvent("test", "")])

    assert isinstance(raised.value.cause, InvalidValue)
    assert not Event.objects.exists()


def test_add_many__lifts_the_accept_window_for_imports_only(
    namespace: Namespace,
) -> None:
    old = NewEvent("test", "a", 1, "t", datetime(2013, 1, 1, tzinfo=UTC))

    with pytest.raises(BatchRefused, match="accept window"):
        record.add_many([old])
    record.add_many([old], any_age=True)

    assert Event.objects.get().event_time == old.generation_time


def test_add_many__takes_ten_thousand_events_of_new_counters(
    namespace: Namespace,
) -> None:
    recorded = record.add_many([NewEvent("test", f"n{i}") for i in range(10_000)])

    assert len({one.counter_id for one in recorded}) == 10_000
    assert Event.objects.count() == 10_000
