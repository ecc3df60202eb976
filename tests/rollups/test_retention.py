from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, transaction
from django.db.models import F, Sum

from counters import configuring, partitions, recording
from counters.errors import InvalidValue
from counters.models import Event, LastWrite, Namespace
from rollups import auditing, reading, retention
from rollups.folding import fold
from rollups.models import Bucket, Closing, Rollup

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]

DAY = timedelta(days=1)
# A day of its own, whose partition each test makes and nothing else has.
MONDAY = datetime(2001, 1, 1, tzinfo=UTC)
KEPT = timedelta(days=30)
# The first instant at which the namespace's retention lets the whole Monday go.
LET_GO = MONDAY + DAY + KEPT


@pytest.fixture(autouse=True)
def _monday(committed_namespace: Namespace) -> object:
    partitions.make(MONDAY, MONDAY, now=MONDAY)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS counters_event_20010101")
        for closing in Closing.objects.all():
            cursor.execute(f"DROP TABLE IF EXISTS {closing.table}")


def add(name: str, delta: int, at: datetime, *, namespace: str = "test") -> None:
    token = f"{name}/{delta}/{at.isoformat()}"
    event = recording.NewEvent(namespace, name, delta, token, at)
    recording.add_many([event], any_age=True)


def fold_all() -> None:
    fold(set(LastWrite.objects.values_list("counter_id", flat=True)))


def close(now: datetime = LET_GO) -> dict[str, str | None]:
    """Close what may be closed; return why each partition is kept, None if it is closed."""
    return {
        outcome.partition.name: outcome.kept_because
        for outcome in retention.close_due(now=now)
    }


def names() -> set[str]:
    return {partition.name for partition in partitions.existing()}


def audit_is_right() -> bool:
    return all(one.is_right for batch in auditing.audit() for one in batch)


@contextmanager
def open_transaction(statement: str, values: Sequence[Any] = ()) -> Iterator[None]:
    """Leave a transaction open, in another session, that has run the statement."""
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(statement, values or None)
        yield
        other.rollback()
        other.set_autocommit(True)
    finally:
        other.close()


def test_close__keeps_every_count_without_the_events() -> None:
    for name, delta in [("a", 5), ("a", -2), ("b", 7)]:
        add(name, delta, MONDAY + timedelta(hours=delta % 24))
    add("a", 100, datetime.now(UTC))
    fold_all()

    assert close() == {"counters_event_20010101": None}

    assert Event.objects.count() == 1
    assert {
        rollup.counter.name: (int(rollup.total), rollup.events)
        for rollup in Rollup.objects.select_related("counter")
    } == {"a": (103, 3), "b": (7, 1)}
    [closing] = Closing.objects.all()
    assert (closing.since, closing.until) == (MONDAY, MONDAY + DAY)
    assert (closing.counters, closing.events, int(closing.total)) == (2, 3, 10)
    assert audit_is_right()
    assert reading.get(namespace="test", name="a", accuracy="accurate").count == 103


@pytest.mark.parametrize(
    ("now", "closed"),
    [
        (LET_GO - timedelta(microseconds=1), False),
        (LET_GO, True),
        (LET_GO + timedelta(microseconds=1), True),
    ],
)
def test_close__waits_for_the_retention_of_the_whole_partition(
    now: datetime, closed: bool
) -> None:
    add("a", 1, MONDAY + DAY - timedelta(microseconds=1))
    fold_all()

    close(now)

    assert ("counters_event_20010101" not in names()) is closed


def test_close__keeps_what_is_not_folded() -> None:
    add("a", 1, MONDAY)
    fold_all()
    add("a", 2, MONDAY)

    assert close() == {
        "counters_event_20010101": "1 counter(s) have events in it that are not folded yet"
    }

    assert Event.objects.count() == 2
    fold_all()
    assert close() == {"counters_event_20010101": None}
    assert Rollup.objects.get().total == 3


def test_close__keeps_what_another_namespace_keeps_for_longer() -> None:
    Namespace.objects.create(name="archive", retention=timedelta(days=365))
    add("a", 1, MONDAY)
    add("b", 1, MONDAY, namespace="archive")
    fold_all()

    [(_, reason)] = close().items()

    assert reason == "a namespace with events in it keeps them for 365 days"
    assert close(LET_GO + 400 * DAY) == {"counters_event_20010101": None}


def test_close__keeps_the_evidence_of_a_wrong_count() -> None:
    add("a", 5, MONDAY)
    add("b", 5, MONDAY)
    fold_all()
    Bucket.objects.filter(counter_id=Rollup.objects.all()[0].pk).update(delta=6)

    [(_, reason)] = close().items()

    assert reason is not None
    assert "1 counter(s) differ from their events" in reason
    auditing.repair(list(Rollup.objects.values_list("pk", flat=True)))
    assert close() == {"counters_event_20010101": None}


def test_close__takes_a_second_helping_of_the_same_day() -> None:
    add("a", 5, MONDAY)
    fold_all()
    close()
    partitions.make(MONDAY, MONDAY, now=MONDAY)
    add("a", 3, MONDAY)
    add("a", 4, MONDAY + timedelta(minutes=1))
    fold_all()
    assert audit_is_right()

    assert close() == {"counters_event_20010101": None}

    assert Rollup.objects.get().total == 12
    assert Closing.objects.count() == 2
    assert Bucket.objects.aggregate(Sum("closed_delta"))["closed_delta__sum"] == 12
    assert audit_is_right()


def test_close__knows_buckets_of_every_size_that_the_namespace_had(
    committed_namespace: Namespace,
) -> None:
    at = MONDAY + timedelta(hours=5, minutes=7)
    for size, delta in (("minute", 1), ("hour", 10), ("day", 100)):
        committed_namespace.bucket_size = size
        committed_namespace.save()
        add("a", delta, at)
        fold_all()

    assert close() == {"counters_event_20010101": None}

    assert Bucket.objects.count() == 3
    assert audit_is_right()


def test_repair__counts_closed_events_with_the_kept_ones() -> None:
    add("a", 5, MONDAY)
    fold_all()
    close()
    add("a", 2, datetime.now(UTC))
    fold_all()
    Rollup.objects.update(total=F("total") + 40)
    Bucket.objects.filter(closed_events__isnull=False).update(delta=50)
    assert not audit_is_right()

    auditing.repair(list(Rollup.objects.values_list("pk", flat=True)))

    assert audit_is_right()
    assert Rollup.objects.get().total == 7


def test_close__a_dry_run_changes_nothing() -> None:
    add("a", 5, MONDAY)
    fold_all()

    [outcome] = retention.close_due(now=LET_GO, dry_run=True)

    assert (outcome.kept_because, outcome.events) == (None, 1)
    assert "counters_event_20010101" in names()
    assert not Closing.objects.exists()
    assert not Bucket.objects.filter(closed_events__isnull=False).exists()


def test_close__that_fails_half_way_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add("a", 5, MONDAY)
    fold_all()
    monkeypatch.setattr(retention, "_DETACH", "SELECT 1/0")

    with pytest.raises(Exception, match="division by zero"):
        close()

    assert "counters_event_20010101" in names()
    assert not Closing.objects.exists()
    assert audit_is_right()


def test_close__waits_for_an_open_transaction_only_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An add to that day, still open, must not be cut off; nor may it hold up others."""
    monkeypatch.setattr("counters.patience.ATTEMPTS", 2)
    monkeypatch.setattr("counters.patience.PAUSE_SECONDS", 0.0)
    add("a", 5, MONDAY)
    fold_all()
    with open_transaction(
        "INSERT INTO counters_event (counter_id, token, event_time, delta)"
        " VALUES (%s, gen_random_uuid(), %s, 1)",
        [Rollup.objects.get().pk, MONDAY],
    ):
        assert close() == {
            "counters_event_20010101": "a transaction that uses it stays open; try again"
        }
    assert close() == {"counters_event_20010101": None}


def test_close__lets_no_event_in_between_its_look_and_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that came in unseen would be dropped uncounted."""
    add("a", 5, MONDAY)
    fold_all()
    late = connection.copy()
    refused = []

    def add_late(*args: Any) -> None:
        with late.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
            try:
                cursor.execute(
                    "INSERT INTO counters_event (counter_id, token, event_time, delta)"
                    " VALUES (%s, gen_random_uuid(), %s, 1)",
                    [Rollup.objects.get().pk, MONDAY],
                )
            except OperationalError as error:
                refused.append(error)

    monkeypatch.setattr(retention, "_reason_to_keep", add_late)
    try:
        close()
    finally:
        late.close()

    assert len(refused) == 1


def test_close__is_not_fooled_by_a_transaction_that_reads_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader holds every partition; the event table cannot be changed under it."""
    monkeypatch.setattr("counters.patience.ATTEMPTS", 2)
    monkeypatch.setattr("counters.patience.PAUSE_SECONDS", 0.0)
    add("a", 5, MONDAY)
    fold_all()
    with open_transaction("SELECT sum(delta) FROM counters_event"):
        [(_, reason)] = close().items()

        assert reason == "a transaction that uses it stays open; try again"
        assert not Closing.objects.exists()


def test_drop__comes_an_hour_after_the_closing() -> None:
    add("a", 5, MONDAY)
    fold_all()
    close()
    [closing] = Closing.objects.all()

    assert (
        retention.drop_closed(now=closing.closed_at + timedelta(minutes=59, seconds=59))
        == []
    )
    assert retention.drop_closed(now=closing.closed_at + timedelta(hours=1)) == [
        closing.table
    ]
    assert retention.drop_closed(now=closing.closed_at + timedelta(days=9)) == []

    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [closing.table])
        assert cursor.fetchone()[0] is None
    assert audit_is_right()


def test_drop__leaves_what_a_dump_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("counters.patience.ATTEMPTS", 1)
    add("a", 5, MONDAY)
    fold_all()
    close()
    [closing] = Closing.objects.all()
    later = closing.closed_at + timedelta(hours=2)
    with open_transaction(f"SELECT * FROM {closing.table}"):  # noqa: S608
        assert retention.drop_closed(now=later) == []
    assert retention.drop_closed(now=later) == [closing.table]


def test_close__goes_on_while_others_add_and_fold(
    committed_namespace: Namespace, rollup_of: Callable[[str], Rollup]
) -> None:
    """A late event of today waits unfolded; that holds up no older partition."""
    add("a", 5, MONDAY)
    fold_all()
    with transaction.atomic():
        recording.add(namespace="test", name="a", delta=1)

    assert close() == {"counters_event_20010101": None}

    fold_all()
    assert rollup_of("a").total == 6
    assert audit_is_right()


def widen(days: int) -> Namespace:
    seconds = days * 86_400
    return configuring.change(
        "test", {"accept_past_seconds": seconds, "retention_seconds": seconds}
    )


# A window that begins within Monday: what was dropped would be accepted again.
DAYS_SINCE_MONDAY = (datetime.now(UTC) - MONDAY).days


def test_window__is_not_widened_to_what_was_dropped() -> None:
    """The tokens are gone with the events: a retry would count twice."""
    add("a", 5, MONDAY)
    fold_all()
    close()

    with pytest.raises(InvalidValue) as refused:
        widen(DAYS_SINCE_MONDAY)

    assert refused.value.field == "accept_past_seconds"
    assert "2001-01-02T00:00:00" in refused.value.message
    widen(DAYS_SINCE_MONDAY - 1)
    with pytest.raises(ValidationError, match="could not be told"):
        Namespace(
            pk=Namespace.objects.get().pk, name="test", accept_past=10_000 * DAY
        ).clean()


def test_window__of_a_namespace_without_dropped_events_is_widened() -> None:
    Namespace.objects.create(name="other")
    add("a", 5, MONDAY, namespace="other")
    add("a", 5, datetime.now(UTC))
    fold_all()
    close()

    assert widen(DAYS_SINCE_MONDAY).accept_past == DAYS_SINCE_MONDAY * DAY


def test_window__that_is_widened_holds_up_a_closing_until_it_is_there() -> None:
    """Else the closing would go by the retention of before, and the window by its absence."""
    add("a", 5, MONDAY)
    fold_all()
    with open_transaction(
        "SELECT pg_advisory_xact_lock(hashtext('rollups.retention'))"
    ):
        assert close() == {
            "counters_event_20010101": "another process is closing partitions, or widening a window"
        }
        with pytest.raises(InvalidValue, match="try again"):
            widen(DAYS_SINCE_MONDAY)
    with transaction.atomic():
        widen(DAYS_SINCE_MONDAY)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                " AND pid = pg_backend_pid()"
            )
            assert cursor.fetchone() == (1,)
