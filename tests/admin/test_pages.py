from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from counters import events
from counters.models import Namespace
from rollups.models import Process, Sample
from rollups.monitor import heartbeat
from rollups.monitor import samples as sampling
from rollups.monitor.heartbeat import Reporter
from rollups.monitor.samples import Reading
from rollups.pages import last_hour, overview

pytestmark = pytest.mark.usefixtures("triggers")


def sample(ago: timedelta, inserted: int = 0, pending: int = 0, **numbers: int) -> None:
    Sample.objects.create(
        sampled_at=datetime.now(UTC) - ago,
        pending=pending,
        lag_p50_seconds=1,
        lag_p99_seconds=2,
        lag_max_seconds=3,
        inserted=inserted,
        numbers=numbers,
    )


def process(role: str, ago: timedelta, **state: bool) -> Process:
    return Process.objects.create(
        id=uuid4(),
        role=role,
        host="h",
        pid=1,
        seen_at=datetime.now(UTC) - ago,
        numbers={},
        **state,
    )


@pytest.mark.parametrize("path", ["/ops", "/ops/now"])
def test_page__is_for_staff(admin: Client, path: str) -> None:
    nobody = Client()
    user = Client()
    user.force_login(User.objects.create_user("user"))

    assert nobody.get(path).status_code == 302
    assert user.get(path).status_code == 302
    assert admin.get(path).status_code == 200
    assert admin.post(path).status_code == 405


def test_page__is_linked_from_the_admin(admin: Client) -> None:
    assert 'href="/ops"' in admin.get("/admin/").content.decode()


def test_page__of_an_empty_database_says_what_is_missing(admin: Client) -> None:
    page = admin.get("/ops").content.decode()

    assert 'data-level="WARNING"' in page
    assert "is beat running?" in page
    assert page.count("none has reported") == 3
    assert page.count("No sample was taken in the last hour.") == 3
    assert "default partition" in page


def test_page__shows_lag_rates_triggers_and_processes(
    admin: Client, namespace: Namespace
) -> None:
    events.add(namespace="test", name="hits")
    sample(timedelta(minutes=30), published=1)
    sample(timedelta(seconds=40), inserted=100, published=5, events_folded=10)
    sample(timedelta(seconds=20), inserted=700, published=9, events_folded=50)
    process("worker", timedelta(seconds=5), breaker_is_open=True)
    process("worker", heartbeat.ALIVE_WITHIN + timedelta(seconds=1))

    now = overview.measure()

    assert now.lags.pending == 1
    assert now.lags.p50_seconds == now.lags.max_seconds > 0
    # The two samples are twenty seconds apart, and the moment between their making.
    assert now.adds_per_second == pytest.approx(30, rel=0.05)
    assert now.folded_per_second == pytest.approx(2, rel=0.05)
    published = next(one for one in now.triggers if one.outcome == "published")
    assert (published.last_hour, published.ever) == (8, 9)
    assert [len(role.processes) for role in now.roles] == [0, 1, 0]
    assert now.open_breakers == 1
    assert "circuit open" in admin.get("/ops/now").content.decode()


def test_rates__of_a_number_that_began_anew_are_unknown() -> None:
    def reading(second: int, inserted: int) -> Reading:
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
        return Reading(at, 0, 0, 0, 0, inserted, {})

    samples = [reading(0, 5), reading(2, 9), reading(4, 1), reading(4, 1)]

    assert last_hour.each(samples, "inserted") == [None, 2.0, None, None]
    assert last_hour.over(samples, "inserted") is None
    assert last_hour.over(samples[:1], "inserted") is None


@pytest.mark.django_db
def test_plots__leave_gaps_where_nothing_is_known() -> None:
    sample(timedelta(minutes=3), pending=7)
    sample(timedelta(minutes=1), pending=9)
    sample(timedelta(minutes=90), pending=99)

    lag, pending, _ = last_hour.draw(datetime.now(UTC))

    assert [values for _, values in pending.rows] == [["9"], ["7"]]
    assert lag.names == ["p50", "p99", "max"]
    # Two points that are not joined.
    assert pending.picture.count("h0") == 2


@pytest.mark.django_db
def test_sample__is_taken_once_in_half_a_period_and_forgotten_after_a_day() -> None:
    sample(timedelta(days=2))

    assert sampling.take()
    assert not sampling.take()

    assert Sample.objects.count() == 1


@pytest.mark.django_db
def test_processes__that_end_leave_their_numbers() -> None:
    gone = process("web", heartbeat.FORGOTTEN_AFTER + timedelta(minutes=1))
    Process.objects.filter(pk=gone.pk).update(numbers={"adds": 3})
    alive = process("web", timedelta(0))
    Process.objects.filter(pk=alive.pk).update(numbers={"adds": 4})

    heartbeat.forget_silent()
    heartbeat.forget_silent()

    left = dict(Process.objects.values_list("pk", "numbers"))
    assert left == {heartbeat.ENDED: {"adds": 3}, alive.pk: {"adds": 4}}


@pytest.mark.django_db
def test_reporter__that_was_forgotten_reports_only_what_came_since() -> None:
    reporter = Reporter("web")
    reporter.report()
    first = Process.objects.get().numbers
    Process.objects.all().delete()
    reporter.report()

    again = Process.objects.get()

    assert again.role == "web"
    assert set(again.numbers) == set(first)
    assert not any(again.numbers.values())
