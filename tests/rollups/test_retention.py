from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, transaction
from django.db.models import F, Sum
from psycopg import sql

from counters import events as record
from counters.errors import InvalidValue, NotAnchored
from counters.models import Counter, Event, Namespace
from counters.namespaces import settings
from counters.partitions import create
from counters.ttl_cache import REMEMBERED_SECONDS
from rollups import counts
from rollups.folding import audit, cluster_identity, retention
from rollups.models import Bucket, Closing, Rollup
from tests.conftest import Threads
from tests.factories import fold_all

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]

DAY = timedelta(days=1)
# A day of its own, whose partition each test makes and nothing else has.
MONDAY = datetime(2001, 1, 1, tzinfo=UTC)
KEPT = timedelta(days=30)
# The first instant at which the namespace's retention lets the whole Monday go.
LET_GO = MONDAY + DAY + KEPT + retention.MARGIN


@pytest.fixture(autouse=True)
def _monday(committed_namespace: Namespace) -> object:
    create.make(MONDAY, MONDAY, now=MONDAY)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS counters_event_20010101")
        for closing in Closing.objects.all():
            cursor.execute(f"DROP TABLE IF EXISTS {closing.table}")


def add(name: str, delta: int, at: datetime, *, namespace: str = "test") -> None:
    token = f"{name}/{delta}/{at.isoformat()}"
    event = record.NewEvent(namespace, name, delta, token, at)
    record.add_many([event], any_age=True)


def close(
    now: datetime = LET_GO, wait: Callable[[float], None] = lambda seconds: None
) -> dict[str, str | None]:
    """Close what may be closed; return why each partition is kept, None if it is closed."""
    return {
        outcome.partition.name: outcome.kept_because
        for outcome in retention.close_due(now=now, wait=wait)
    }


@contextmanager
def before_each_statement(look: Callable[[str], None]) -> Iterator[None]:
    """Call `look` with each statement that this session is about to run."""

    def run(execute: Any, statement: Any, *rest: Any) -> Any:
        text = (
            statement.as_string(None)
            if isinstance(statement, sql.Composable)
            else statement
        )
        look(text)
        return execute(statement, *rest)

    with connection.execute_wrapper(run):
        yield


@contextmanager
def another_session() -> Iterator[Any]:
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            yield cursor
    finally:
        other.close()


def pages_read(table: str) -> int:
    """Return how many pages of the table and its indexes were read so far."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT sum(pg_stat_get_blocks_fetched(oid)) FROM pg_class"
            " WHERE oid = %(table)s::regclass"
            " OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = %(table)s::regclass)",
            {"table": table},
        )
        return int(cursor.fetchone()[0])


def names() -> set[str]:
    return {partition.name for partition in create.existing()}


def audit_is_right() -> bool:
    return all(one.is_right for batch in audit.audit() for one in batch)


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
    assert counts.get(namespace="test", name="a", accuracy="accurate").count == 103


@pytest.mark.parametrize(
    ("now", "closed"),
    [
        # An add that was accepted just before the window closed may be written still.
        (MONDAY + DAY + KEPT + timedelta(minutes=30), False),
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


def test_close__waits_until_every_process_knows_a_narrowed_window() -> None:
    """A process with the old window takes a retry, so the token must still be kept."""
    at = MONDAY + timedelta(hours=5)
    Namespace.objects.update(accept_past=KEPT, retention=KEPT)
    add("a", 5, at)
    fold_all()
    Namespace.objects.update(accept_past=DAY, retention=DAY)
    waited = []

    def repeat(seconds: float) -> None:
        waited.append(seconds)
        add("a", 5, at)

    assert close(MONDAY + 3 * DAY, wait=repeat) == {"counters_event_20010101": None}

    assert len(waited) == 1
    assert waited[0] > REMEMBERED_SECONDS
    assert Rollup.objects.get().total == 5
    assert Event.objects.count() == 0


def test_close__waits_for_nobody_where_nothing_may_go() -> None:
    def fail(seconds: float) -> None:
        raise AssertionError

    add("a", 1, MONDAY)
    fold_all()
    assert close(LET_GO - timedelta(microseconds=1), wait=fail) == {}
    assert len(list(retention.close_due(now=LET_GO, dry_run=True, wait=fail))) == 1


def test_close__goes_by_the_clock_of_the_database(
    real_now: Callable[[], datetime], committed_namespace: Namespace
) -> None:
    """A host whose clock runs ahead drops nothing that others still accept."""
    committed_namespace.retention = 10 * DAY
    committed_namespace.save()
    midnight = real_now().replace(hour=0, minute=0, second=0, microsecond=0)
    young, old = midnight - 9 * DAY, midnight - 13 * DAY
    made = [*create.make(young, young), *create.make(old, old)]
    try:
        add("a", 1, young)
        add("a", 1, old)
        fold_all()
        due = {one.name for one in retention.due()}
        closed = close_now()
        Closing.objects.create(since=MONDAY, until=young, counters=0, events=0, total=0)
        dropped = retention.drop_closed()
    finally:
        with connection.cursor() as cursor:
            for one in made:
                cursor.execute(f"DROP TABLE IF EXISTS {one.name}")

    for found in (due, closed):
        assert f"counters_event_{old:%Y%m%d}" in found
        assert f"counters_event_{young:%Y%m%d}" not in found
    assert closed[f"counters_event_{old:%Y%m%d}"] is None
    assert dropped == []


def close_now() -> dict[str, str | None]:
    return {
        outcome.partition.name: outcome.kept_because
        for outcome in retention.close_due(wait=lambda seconds: None)
    }


@pytest.mark.parametrize(
    "at",
    [MONDAY, MONDAY + DAY - timedelta(microseconds=1)],
    ids=["its first instant", "its last"],
)
@pytest.mark.parametrize("bucket_size", ["minute", "hour", "day"])
def test_close__closes_the_buckets_of_its_span_and_no_other(
    committed_namespace: Namespace, at: datetime, bucket_size: str
) -> None:
    """The next day's first bucket begins where the span ends; its events are kept."""
    committed_namespace.bucket_size = bucket_size
    committed_namespace.save()
    add("a", 11, at)
    add("a", 10, MONDAY + DAY)
    fold_all()

    assert close() == {"counters_event_20010101": None}

    assert Rollup.objects.get().total == 21
    assert audit_is_right()
    [closed] = Bucket.objects.filter(closed_events__isnull=False)
    assert closed.closed_delta == 11


def test_close__keeps_the_events_of_a_counter_without_a_rollup() -> None:
    add("a", 1, MONDAY)
    fold_all()
    Rollup.objects.all().delete()

    assert close() == {
        "counters_event_20010101": "it holds unfolded events of 1 counter"
    }


def test_close__is_refused_on_another_cluster() -> None:
    """Its ids would look covered, and events that are not folded would be dropped."""
    add("a", 1, MONDAY)
    fold_all()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE rollups_anchor SET system_identifier = 1")
    try:
        with pytest.raises(NotAnchored):
            close()
    finally:
        cluster_identity.reanchor()

    assert "counters_event_20010101" in names()
    assert close() == {"counters_event_20010101": None}


def test_close__keeps_what_is_not_folded() -> None:
    add("a", 1, MONDAY)
    fold_all()
    add("a", 2, MONDAY)

    assert close() == {
        "counters_event_20010101": "it holds unfolded events of 1 counter"
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


def test_close__looks_at_a_kept_partition_by_an_index_and_under_no_lock() -> None:
    """Two retentions: each hour, all days between the two are looked at."""
    Namespace.objects.create(name="archive", retention=timedelta(days=400))
    Namespace.objects.create(
        name="unsure", counter_type="best-effort", retention=timedelta(days=900)
    )
    add("many", 1, MONDAY)
    many = Counter.objects.get(name="many").pk
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO counters_event (counter_id, token, event_time, delta)"
            " SELECT %s, gen_random_uuid(), %s, 1 FROM generate_series(1, 20000)",
            [many, MONDAY],
        )
    # The partition's last row, which a scan of the whole would find last.
    add("kept", 1, MONDAY, namespace="archive")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE counters_event_20010101")
    fold_all()
    locks: set[str] = set()

    def look(statement: str) -> None:
        with another_session() as cursor:
            cursor.execute(
                "SELECT mode FROM pg_locks"
                " WHERE relation = 'counters_event_20010101'::regclass"
            )
            locks.update(mode for (mode,) in cursor.fetchall())

    before = pages_read("counters_event_20010101")
    with before_each_statement(look):
        [(_, reason)] = close().items()

    assert reason == "a namespace with events in it keeps them for 400 days"
    assert pages_read("counters_event_20010101") - before < 20
    assert locks <= {"AccessShareLock"}


def test_look__reads_no_counter_of_a_namespace_with_a_short_retention() -> None:
    short = Namespace.objects.get(name="test")
    archive = Namespace.objects.create(name="archive", retention=400 * DAY)
    for namespace, counters in ((short, 20_000), (archive, 20)):
        Counter.objects.bulk_create(
            Counter(namespace=namespace, name=f"a{number:05}")
            for number in range(counters)
        )
    add("kept", 1, MONDAY, namespace="archive")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE counters_counter")
    before = pages_read("counters_counter")

    [(_, reason)] = list(retention.look(now=LET_GO))

    assert reason is not None
    assert pages_read("counters_counter") - before < 50


def test_look__tries_the_counter_first_that_kept_the_day_before() -> None:
    """A namespace may have many counters, and few of them events of a day."""
    archive = Namespace.objects.create(name="archive", retention=400 * DAY)
    Counter.objects.bulk_create(
        Counter(namespace=archive, name=f"a{number}") for number in range(1_000)
    )
    tuesday = "counters_event_20010102"
    create.make(MONDAY + DAY, MONDAY + DAY, now=MONDAY)
    for day in (MONDAY, MONDAY + DAY):
        add("kept", 1, day, namespace="archive")
    before = pages_read(tuesday)

    looked = list(retention.look(now=LET_GO + DAY))

    pages = pages_read(tuesday) - before
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {tuesday}")
    assert len(looked) == 2
    assert None not in dict(looked).values()
    assert pages < 20


def test_close__asks_no_counter_of_a_best_effort_namespace() -> None:
    """They have no events. Their retention means nothing."""
    Namespace.objects.create(
        name="unsure", counter_type="best-effort", retention=timedelta(hours=24)
    )
    add("a", 1, MONDAY)
    fold_all()

    assert close(LET_GO - timedelta(microseconds=1)) == {}
    Namespace.objects.filter(name="unsure").update(retention=timedelta(days=900))
    assert close() == {"counters_event_20010101": None}


def test_close__looks_again_when_a_retention_was_raised_meanwhile() -> None:
    add("a", 1, MONDAY)
    fold_all()

    def raise_it(seconds: float) -> None:
        Namespace.objects.update(retention=timedelta(days=400))

    [(_, reason)] = close(wait=raise_it).items()

    assert reason == "a namespace with events in it keeps them for 400 days"


def test_close__passes_over_a_partition_that_another_closes_meanwhile(
    threads: Threads,
) -> None:
    add("a", 1, MONDAY)
    fold_all()
    others: list[dict[str, str | None]] = []

    def close_first(statement: str) -> None:
        if "AS candidate" in statement and not others:
            others.append(threads.submit(close).result())

    with before_each_statement(close_first):
        reasons = close()

    assert others == [{"counters_event_20010101": None}]
    assert reasons == {
        "counters_event_20010101": "another process is archiving partitions, or widening"
        " an accept window"
    }


def test_close__keeps_the_evidence_of_a_wrong_count() -> None:
    add("a", 5, MONDAY)
    add("b", 5, MONDAY)
    fold_all()
    Bucket.objects.filter(counter_id=Rollup.objects.all()[0].pk).update(delta=6)

    [(_, reason)] = close().items()

    assert reason is not None
    assert "the buckets of 1 counter differ from the events" in reason
    audit.repair(list(Rollup.objects.values_list("pk", flat=True)))
    assert close() == {"counters_event_20010101": None}


def test_close__takes_a_second_helping_of_the_same_day() -> None:
    add("a", 5, MONDAY)
    fold_all()
    close()
    create.make(MONDAY, MONDAY, now=MONDAY)
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

    audit.repair(list(Rollup.objects.values_list("pk", flat=True)))

    assert audit_is_right()
    assert Rollup.objects.get().total == 7


def test_close__a_dry_run_changes_nothing() -> None:
    add("a", 5, MONDAY)
    fold_all()

    # A dry run: no add waits for it.
    with open_transaction("LOCK TABLE counters_event_20010101 IN ROW EXCLUSIVE MODE"):
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
    monkeypatch.setattr("counters.db.locks.ATTEMPTS", 2)
    monkeypatch.setattr("counters.db.locks.PAUSE_SECONDS", 0.0)
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


LATE = (
    "INSERT INTO counters_event (counter_id, token, event_time, delta)"
    " VALUES (%s, gen_random_uuid(), %s, 1)"
)


@pytest.mark.parametrize("events", [1, 40], ids=["many counters", "few counters"])
@pytest.mark.parametrize("counter", ["a", "b", "c"])
def test_close__undoes_all_when_an_event_came_since_its_look(
    events: int, counter: str
) -> None:
    """The closing looks for it under the lock; dropped with the partition, it would be lost."""
    for name in ("a", "c"):
        add(name, 5, MONDAY + DAY)
    for delta in range(events):
        add("b", delta, MONDAY)
    fold_all()
    late_id = Counter.objects.get(name=counter).pk

    def add_late(statement: str) -> None:
        if statement.startswith("LOCK TABLE"):
            with another_session() as cursor:
                cursor.execute(LATE, [late_id, MONDAY])

    with before_each_statement(add_late):
        assert close() == {
            "counters_event_20010101": "events were added to it just now; try again"
        }

    assert Event.objects.count() == events + 3
    assert not Closing.objects.exists()
    assert not Bucket.objects.filter(closed_events__isnull=False).exists()


def test_close__undoes_all_when_a_late_event_was_even_folded_since_its_look() -> None:
    """Its delta would be in the closed figures of its bucket, or in a bucket without any."""
    add("a", 5, MONDAY)
    fold_all()
    folded: list[bool] = []

    def add_late(statement: str) -> None:
        if statement.startswith("UPDATE rollups_bucket") and not folded:
            folded.append(True)
            with ThreadPoolExecutor(max_workers=1) as thread:
                thread.submit(late_and_folded).result(timeout=30)

    def late_and_folded() -> None:
        try:
            add("a", 7, MONDAY)
            add("b", 9, MONDAY + timedelta(minutes=1))
            fold_all()
        finally:
            connection.close()

    with before_each_statement(add_late):
        assert close() == {
            "counters_event_20010101": "events were added to it just now; try again"
        }

    assert folded
    assert audit_is_right()
    assert close() == {"counters_event_20010101": None}
    assert audit_is_right()
    assert sum(int(rollup.total) for rollup in Rollup.objects.all()) == 21


def test_close__lets_no_event_in_between_its_last_look_and_the_end() -> None:
    add("a", 5, MONDAY)
    fold_all()
    refused = []

    def add_late(statement: str) -> None:
        if "DETACH PARTITION" not in statement:
            return
        with another_session() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
            try:
                cursor.execute(LATE, [Rollup.objects.get().pk, MONDAY])
            except OperationalError as error:
                refused.append(error)

    with before_each_statement(add_late):
        assert close() == {"counters_event_20010101": None}

    assert len(refused) == 1


def test_close__holds_up_no_add_while_it_reads_and_writes() -> None:
    """Only from the lock to the end does a lock conflict with an add."""
    add("a", 5, MONDAY)
    fold_all()
    reading_and_writing = ("WITH held", "UPDATE rollups_bucket", "INSERT INTO")
    seen = []

    def add_meanwhile(statement: str) -> None:
        if statement.lstrip().startswith(reading_and_writing):
            seen.append(statement.split()[0])
            with another_session() as cursor:
                cursor.execute("SET lock_timeout = '50ms'; BEGIN")
                cursor.execute(LATE, [Rollup.objects.get().pk, MONDAY])
                cursor.execute("ROLLBACK")

    with before_each_statement(add_meanwhile):
        assert close() == {"counters_event_20010101": None}

    assert seen == ["WITH", "UPDATE", "INSERT"]


def test_close__is_not_fooled_by_a_transaction_that_reads_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader holds every partition; the event table cannot be changed under it."""
    monkeypatch.setattr("counters.db.locks.ATTEMPTS", 2)
    monkeypatch.setattr("counters.db.locks.PAUSE_SECONDS", 0.0)
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
    monkeypatch.setattr("counters.db.locks.ATTEMPTS", 1)
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
        record.add(namespace="test", name="a", delta=1)

    assert close() == {"counters_event_20010101": None}

    fold_all()
    assert rollup_of("a").total == 6
    assert audit_is_right()


def widen(days: int) -> Namespace:
    seconds = days * 86_400
    return settings.change(
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
    with pytest.raises(ValidationError, match="could not be recognized"):
        Namespace(
            pk=Namespace.objects.get().pk, name="test", accept_past=10_000 * DAY
        ).clean()


def test_window__is_compared_with_what_was_dropped_by_the_databases_clock(
    real_now: Callable[[], datetime], committed_namespace: Namespace
) -> None:
    """With this host's clock, a window would seem to begin after what was dropped."""
    old = real_now() - 40 * DAY
    add("a", 5, old)
    fold_all()
    Bucket.objects.update(closed_events=1, closed_delta=5)
    Closing.objects.create(
        since=old - DAY, until=old + DAY, counters=1, events=1, total=5
    )

    with pytest.raises(InvalidValue, match="were dropped"):
        widen(42)
    assert widen(38).accept_past == 38 * DAY


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
        "SELECT pg_advisory_xact_lock(hashtext('rollups.folding.retention'))"
    ):
        assert close() == {
            "counters_event_20010101": "another process is archiving partitions, or widening an accept window"
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
