"""The database's clock decides, however wrong the clock of the host is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from counters import claims, clock, namespaces, partitions, recording, tokens
from counters.errors import OutsideAcceptWindow
from counters.models import Claim, Event, Namespace
from rollups import clearing
from tests.conftest import Threads
from tests.races.waiting import TIMEOUT_SECONDS

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]

SECOND = timedelta(seconds=1)
# Every test here runs within this time.
SOON = timedelta(minutes=3)


@pytest.fixture(params=[31, -31], ids=["ahead", "behind"])
def wrong_by(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    committed_namespace: Namespace,
) -> timedelta:
    """This host's clock differs from the database's by 31 days."""
    difference = timedelta(days=request.param)

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + difference

    for module in (clock, namespaces):
        monkeypatch.setattr(module, "datetime", Wrong)
    monkeypatch.setattr(clock, "_ahead", None)
    namespaces.forget_all()
    return difference


def is_now(at: datetime) -> bool:
    return abs(at - datetime.now(UTC)) < SOON


def test_now__is_the_databases(wrong_by: timedelta) -> None:
    assert is_now(clock.now())
    namespaces.get("test")
    assert is_now(clock.now())


def test_now__follows_a_host_whose_clock_is_set(
    wrong_by: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespaces.get("test")
    for module in (clock, namespaces):
        monkeypatch.setattr(module, "datetime", datetime)
    namespaces.forget_all()
    namespaces.get("test")

    assert is_now(clock.now())


def test_add__has_the_databases_time(wrong_by: timedelta) -> None:
    for token in (None, "order 17"):
        added = recording.add(namespace="test", name="hits", token=token)
        assert is_now(added.event_time)
    [many] = recording.add_many([recording.NewEvent("test", "hits")])
    assert is_now(many.event_time)


def test_clear__has_the_databases_time(wrong_by: timedelta) -> None:
    recording.add(namespace="test", name="hits")
    assert is_now(clearing.clear(namespace="test", name="hits").event_time)


@pytest.mark.parametrize("offset", [-SOON, SOON], ids=["after", "before"])
def test_accept_window__begins_and_ends_by_the_databases_clock(
    wrong_by: timedelta, offset: timedelta
) -> None:
    """Otherwise a host that is behind would accept events that retention has dropped."""
    namespace = namespaces.get("test")
    real = datetime.now(UTC)
    for edge, inside in (
        (real - namespace.accept_past, offset > timedelta(0)),
        (real + namespace.accept_future, offset < timedelta(0)),
    ):
        token = tokens.new(edge + offset).text
        if inside:
            recording.add(namespace="test", name="hits", token=token)
        else:
            with pytest.raises(OutsideAcceptWindow):
                recording.add(namespace="test", name="hits", token=token)


def test_claims__expire_by_the_databases_clock(wrong_by: timedelta) -> None:
    """If the claim were dropped too early, the token would count again."""
    recording.add(namespace="test", name="hits", token="order 17")

    assert claims.drop_expired() == 0
    Claim.objects.update(expires_at=datetime.now(UTC) - SECOND)
    assert claims.drop_expired() == 1


def test_claims__that_are_being_renewed_are_passed_and_stay(
    committed_namespace: Namespace, threads: Threads
) -> None:
    """Its use is not committed yet. If it were dropped, the token would count again."""
    for token in ("order 17", "order 18"):
        recording.add(namespace="test", name="hits", token=token)
    past = datetime.now(UTC) - timedelta(days=3)
    Claim.objects.update(expires_at=past)
    Event.objects.update(event_time=past)
    with transaction.atomic():
        renewed = recording.add(namespace="test", name="hits", token="order 17")
        dropped = threads.submit(claims.drop_expired).result(TIMEOUT_SECONDS)

    assert (renewed.duplicate, dropped) == (False, 1)
    assert recording.add(namespace="test", name="hits", token="order 17").duplicate


def test_partitions__are_made_ahead_by_the_databases_clock(
    wrong_by: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime] = []

    def make(since: datetime, *rest: Any, **named: Any) -> list[Any]:
        asked.append(since)
        return []

    monkeypatch.setattr(partitions, "make", make)

    partitions.make_ahead()

    assert is_now(asked[0] + timedelta(days=2))
