"""The database's clock decides, however wrong the clock of the host is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction

from counters import events
from counters.db import clock
from counters.errors import OutsideAcceptWindow
from counters.models import Claim, Event, Namespace
from counters.namespaces import lookup
from counters.partitions import create
from counters.recording import duplicates, tokens
from rollups.reading import clear
from tests.conftest import Threads
from tests.races.waiting import TIMEOUT_SECONDS

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
# Every test here runs within this time.
SOON = timedelta(minutes=3)
IsNow = Callable[[datetime], bool]
RealNow = Callable[[], datetime]


def test_now__is_the_databases(is_now: IsNow, committed_namespace: Namespace) -> None:
    assert is_now(clock.now())
    lookup.get("test")
    assert is_now(clock.now())


def test_now__follows_a_host_whose_clock_is_set(
    wrong_by: timedelta, is_now: IsNow, committed_namespace: Namespace
) -> None:
    assert is_now(clock.now())
    with time_machine.travel(datetime.now(UTC) - wrong_by):
        lookup.forget_all()
        lookup.get("test")
        now = clock.now()

    assert is_now(now)


@pytest.mark.parametrize("compare", [clock.now, lambda: lookup.get("test")])
def test_now__is_not_too_early_after_a_slow_answer(
    monkeypatch: pytest.MonkeyPatch,
    committed_namespace: Namespace,
    compare: Callable[[], object],
) -> None:
    """An accept window would begin too early. Too late, by the delay, does no harm."""
    monkeypatch.setattr(clock, "_ahead", None)
    with time_machine.travel(datetime.now(UTC)) as host:

        def answer_slowly(execute: Any, *rest: Any) -> Any:
            answered = execute(*rest)
            host.shift(60)
            return answered

        with connection.execute_wrapper(answer_slowly):
            compare()
        ahead = clock.now() - clock.database_now()

    assert ahead > 59 * SECOND


def test_add__has_the_databases_time(
    is_now: IsNow, committed_namespace: Namespace
) -> None:
    for token in (None, "order 17"):
        added = events.add(namespace="test", name="hits", token=token)
        assert is_now(added.event_time)
    for token in (None, "order 18"):
        [many] = events.add_many([events.NewEvent("test", "hits", token=token)])
        assert is_now(many.event_time)


def test_clear__has_the_databases_time(
    is_now: IsNow, committed_namespace: Namespace
) -> None:
    events.add(namespace="test", name="hits")
    for token in (None, "order 17"):
        cleared = clear.clear(namespace="test", name="hits", token=token)
        assert is_now(cleared.event_time)


@pytest.mark.parametrize("offset", [-SOON, SOON], ids=["after", "before"])
def test_accept_window__begins_and_ends_by_the_databases_clock(
    real_now: RealNow, committed_namespace: Namespace, offset: timedelta
) -> None:
    """Otherwise a host that is behind would accept events that retention has dropped."""
    namespace = lookup.get("test")
    real = real_now()
    for edge, inside in (
        (real - namespace.accept_past, offset > timedelta(0)),
        (real + namespace.accept_future, offset < timedelta(0)),
    ):
        token = tokens.new(edge + offset).text
        if inside:
            events.add(namespace="test", name="hits", token=token)
        else:
            with pytest.raises(OutsideAcceptWindow):
                events.add(namespace="test", name="hits", token=token)


def test_claims__expire_by_the_databases_clock(
    real_now: RealNow, committed_namespace: Namespace
) -> None:
    """If the claim were dropped too early, the token would count again."""
    events.add(namespace="test", name="hits", token="order 17")

    assert duplicates.drop_expired() == 0
    Claim.objects.update(expires_at=real_now() - SECOND)
    assert duplicates.drop_expired() == 1


def test_claims__that_are_being_renewed_are_passed_and_stay(
    committed_namespace: Namespace, threads: Threads
) -> None:
    """Its use is not committed yet. If it were dropped, the token would count again."""
    for token in ("order 17", "order 18"):
        events.add(namespace="test", name="hits", token=token)
    past = datetime.now(UTC) - timedelta(days=3)
    Claim.objects.update(expires_at=past)
    Event.objects.update(event_time=past)
    with transaction.atomic():
        renewed = events.add(namespace="test", name="hits", token="order 17")
        dropped = threads.submit(duplicates.drop_expired).result(TIMEOUT_SECONDS)

    assert (renewed.duplicate, dropped) == (False, 1)
    assert events.add(namespace="test", name="hits", token="order 17").duplicate


def test_partitions__are_made_ahead_by_the_databases_clock(
    real_now: RealNow, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime] = []

    def make(since: datetime, *rest: Any, **named: Any) -> list[Any]:
        asked.append(since)
        return []

    monkeypatch.setattr(create, "make", make)

    create.make_ahead()

    assert abs(asked[0] + 2 * DAY - real_now()) < SOON


def test_partitions__are_of_a_day_or_a_month_by_the_databases_clock(
    wrong_by: timedelta, real_now: RealNow
) -> None:
    """A month that ended just after, or just before, months become whole partitions."""
    end = real_now() - create.WHOLE_MONTHS_AFTER + max(wrong_by, timedelta(0))
    last_day = end.replace(day=1) - DAY
    # Another test may have left a partition of that time.
    names = {f"counters_event_{last_day:%Y%m}", f"counters_event_{last_day:%Y%m%d}"}
    drop = "".join(f"DROP TABLE IF EXISTS {name};" for name in names)
    with connection.cursor() as cursor:
        cursor.execute(drop)

    made = create.make(last_day, last_day)

    with connection.cursor() as cursor:
        cursor.execute(drop)
    form = "%Y%m%d" if wrong_by > timedelta(0) else "%Y%m"
    assert [one.name for one in made] == [f"counters_event_{last_day:{form}}"]
