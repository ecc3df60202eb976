from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import transaction
from django.db.models import F

from counters import events
from counters.models import Event, LastWrite, Namespace
from rollups.folding import audit
from rollups.folding.fold import fold
from rollups.models import Bucket, Rollup
from tests.conftest import Threads
from tests.races.waiting import TIMEOUT_SECONDS

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]


@pytest.fixture
def counted(committed_namespace: Namespace) -> Namespace:
    """Five counters, folded twice, and pending events on top."""
    for _ in range(2):
        events.add_many([events.NewEvent("test", f"c{i}", i) for i in range(5)])
        fold(list(LastWrite.objects.values_list("counter_id", flat=True)))
    events.add_many([events.NewEvent("test", f"c{i}", 100) for i in range(5)])
    return committed_namespace


def differing() -> list[str]:
    return [one.name for batch in audit.audit() for one in batch if not one.is_right]


def test_audit__takes_what_is_pending_for_no_difference(counted: Namespace) -> None:
    audited = [one for batch in audit.audit(batch_counters=2) for one in batch]

    assert [one.name for one in audited] == [f"c{i}" for i in range(5)]
    assert [one.recounted_total for one in audited] == [2 * i for i in range(5)]
    assert all(one.is_right for one in audited)


@pytest.mark.parametrize("broken", ["total", "events", "bucket"])
def test_audit__finds_and_repairs_a_difference(counted: Namespace, broken: str) -> None:
    rollup = Rollup.objects.get(counter__name="c3")
    if broken == "bucket":
        Bucket.objects.filter(counter_id=rollup.pk).update(delta=F("delta") + 1)
    else:
        Rollup.objects.filter(pk=rollup.pk).update(**{broken: F(broken) + 7})
    assert differing() == ["c3"]

    assert audit.repair([rollup.pk]) == {rollup.pk}

    assert differing() == []
    fold([rollup.pk])
    assert Rollup.objects.get(pk=rollup.pk).total == 106
    assert differing() == []


def without_last_write(counter_id: int) -> None:
    LastWrite.objects.filter(counter_id=counter_id).delete()


def without_rollup_and_last_write(counter_id: int) -> None:
    without_last_write(counter_id)
    Bucket.objects.filter(counter_id=counter_id).delete()
    Rollup.objects.filter(pk=counter_id).delete()


def beside_its_last_write(counter_id: int) -> None:
    later = F("newest_event_time") + timedelta(hours=1)
    LastWrite.objects.filter(counter_id=counter_id).update(
        oldest_event_time=later, newest_event_time=later
    )


def with_a_covered_last_write_only(counter_id: int) -> None:
    """A fold removes it, and never reads the span of time that it names."""
    covered = Event.objects.filter(counter_id=counter_id).order_by("xid").values("xid")
    LastWrite.objects.filter(counter_id=counter_id).update(xid=covered[:1])


def hours_off(counter_id: int) -> None:
    buckets = Bucket.objects.filter(counter_id=counter_id)
    buckets.update(bucket_at=F("bucket_at") - timedelta(hours=3))


@pytest.mark.parametrize(
    "break_it",
    [
        without_last_write,
        without_rollup_and_last_write,
        beside_its_last_write,
        with_a_covered_last_write_only,
        hours_off,
    ],
)
def test_audit__finds_and_repairs_what_sums_do_not_show(
    counted: Namespace,
    counter_id: Callable[[str], int],
    break_it: Callable[[int], None],
) -> None:
    c3 = counter_id("c3")
    break_it(c3)
    [found] = audit.audit_some([c3])
    assert found.total == found.recounted_total
    assert differing() == ["c3"]

    assert audit.repair([c3]) == {c3}

    assert differing() == []
    fold([c3])
    assert Rollup.objects.get(pk=c3).total == 106
    assert differing() == []


def test_audit__finds_an_event_that_a_fold_has_passed(
    counted: Namespace, counter_id: Callable[[str], int]
) -> None:
    c3 = counter_id("c3")
    without_last_write(c3)
    events.add(namespace="test", name="c3", delta=1_000)
    fold([c3])
    assert Rollup.objects.get(pk=c3).total == 1_006
    assert differing() == ["c3"]

    audit.repair([c3])

    assert Rollup.objects.get(pk=c3).total == 1_106
    assert differing() == []


def test_audit__finds_an_event_that_was_not_committed_at_the_last_fold(
    committed_namespace: Namespace, threads: Threads
) -> None:
    def add_and_fold() -> int:
        added = events.add(namespace="test", name="c3", delta=1)
        fold([added.counter_id])
        return added.counter_id

    with transaction.atomic():
        events.add(namespace="test", name="c3", delta=10)
        c3 = threads.submit(add_and_fold).result(TIMEOUT_SECONDS)
    assert differing() == []
    without_last_write(c3)
    assert differing() == ["c3"]

    audit.repair([c3])

    fold([c3])
    assert Rollup.objects.get(pk=c3).total == 11
    assert differing() == []


def test_audit__sums_finer_buckets_of_before_up(counted: Namespace) -> None:
    Namespace.objects.update(bucket_size="day")
    fold(list(LastWrite.objects.values_list("counter_id", flat=True)))

    assert differing() == []


def test_repair__drops_a_bucket_without_events(counted: Namespace) -> None:
    bucket = Bucket.objects.order_by("counter_id").last()
    assert bucket is not None
    stray = Bucket(
        counter_id=bucket.counter_id,
        bucket_at=bucket.bucket_at.replace(year=2001),
        delta=5,
        events=1,
    )
    stray.save(force_insert=True)
    assert differing() == ["c4"]

    audit.repair([bucket.counter_id])

    assert differing() == []


def test_verify_rollups__says_which_differ_and_by_what(counted: Namespace) -> None:
    Rollup.objects.filter(counter__name="c3").update(total=F("total") + 7)
    out = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("counters", "verify", stdout=out)

    assert ended.value.code == 1
    assert (
        "test/c3: total 13 of 2 events; recounted 6 of 2 (off by +7)" in out.getvalue()
    )
    assert "5 counters recounted, 1 differ." in out.getvalue()


def test_verify_rollups__says_what_sums_do_not_show(
    counted: Namespace, counter_id: Callable[[str], int]
) -> None:
    c3 = counter_id("c3")
    without_last_write(c3)
    bucket = Bucket.objects.filter(counter_id=c3).latest("bucket_at")
    Bucket.objects.filter(counter_id=c3, bucket_at=bucket.bucket_at).update(
        bucket_at=bucket.bucket_at + timedelta(hours=3)
    )
    out = StringIO()

    with pytest.raises(SystemExit):
        call_command("counters", "verify", stdout=out)

    assert (
        ", 2 buckets whose sums differ from the events; 1 pending event that no fold finds"
    ) in out.getvalue()


def test_verify_rollups__repairs(counted: Namespace) -> None:
    Rollup.objects.filter(counter__name="c3").update(total=F("total") + 7)
    out = StringIO()

    call_command(
        "counters", "verify", "--repair", "--json", "--namespace", "test", stdout=out
    )

    answer = json.loads(out.getvalue())
    assert (answer["audited"], answer["repaired"]) == (5, 1)
    assert [one["name"] for one in answer["different"]] == ["c3"]
    assert differing() == []
