"""Counters attached to models. The models are proxies of Django's own: no table is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import connection, models, transaction
from django.db.models.signals import post_delete
from django.test.utils import CaptureQueriesContext, isolate_apps

from counters.models import Counter, Namespace
from rollups import declared
from rollups.attaching import CounterField, NotSaved, with_counts
from rollups.folding import fold

pytestmark = pytest.mark.usefixtures("triggers")


@isolate_apps("tests")
def team_model() -> Any:
    class Counted(models.Model):
        visits = CounterField(namespace="test")

        class Meta:
            abstract = True
            app_label = "tests"

    class Team(Counted, Group):
        wins = CounterField(namespace="other", on_delete="delete")

        class Meta:
            proxy = True
            app_label = "tests"

    return Team


Team = team_model()


@pytest.fixture
def team(committed_namespace: Namespace) -> Any:
    Namespace.objects.create(name="other")
    return Team.objects.create(name="blue")


def fold_all() -> None:
    fold(list(Counter.objects.values_list("pk", flat=True)))


def test_counter__is_named_by_model_key_and_attribute(team: Any) -> None:
    team.visits.add()

    assert team.visits.name == f"auth.group:{team.pk}:visits"
    assert Counter.objects.get().name == team.visits.name


def test_counter__counts(team: Any) -> None:
    assert team.visits.count == 0
    assert team.visits.read(accuracy="accurate").count == 0

    first = team.visits.add(5, token="a")
    again = team.visits.add(5, token="a")
    team.visits.add(-2)

    assert (first.duplicate, again.duplicate) == (False, True)
    assert team.visits.read(accuracy="accurate").count == 3
    assert (team.visits.count, team.visits.read().pending) == (0, True)
    fold_all()
    assert team.visits.count == 3


def test_counter__belongs_to_the_callers_transaction(team: Any) -> None:
    with transaction.atomic():
        team.visits.add()
        transaction.set_rollback(True)

    assert team.visits.read(accuracy="accurate").count == 0


def test_counter__of_an_object_that_is_not_saved_is_an_error() -> None:
    with pytest.raises(NotSaved, match="save it first"):
        _ = Team(name="red").visits


def test_counter__by_key_needs_no_object(team: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        counter = Team.visits.of(team.pk)

    assert counter == team.visits
    assert len(queries) == 0


def test_counter__cannot_be_set(team: Any) -> None:
    with pytest.raises(AttributeError, match="is not set"):
        team.visits = 3


def test_class__gives_the_field_itself() -> None:
    assert isinstance(Team.visits, CounterField)
    assert {field.attribute for field in declared.fields_of(Team)} == {"visits", "wins"}


@isolate_apps("tests")
def test_names__are_the_same_for_all_views_of_one_row() -> None:
    class Base(models.Model):
        hits = CounterField(namespace="test")

        class Meta:
            abstract = True
            app_label = "tests"

    class Page(Base):
        class Meta:
            app_label = "tests"

    class News(Page):
        class Meta:
            app_label = "tests"

    class Other(Base):
        class Meta:
            app_label = "tests"

    class Renamed(models.Model):
        hits = CounterField(namespace="test", label="tests.page")

        class Meta:
            app_label = "tests"

    def named(model: Any) -> str:
        counter = model.hits.of(7)
        return str(counter.name)

    assert named(Page) == named(News) == named(Renamed) == "tests.page:7:hits"
    assert named(Other) == "tests.other:7:hits"
    with pytest.raises(TypeError, match="abstract"):
        named(Base)


def test_with_counts__reads_all_in_one_query(team: Any) -> None:
    teams = [team, *(Team.objects.create(name=f"t{i}") for i in range(20))]
    for number, one in enumerate(teams[:10], start=1):
        one.visits.add(number)
        one.wins.add(number * 100)
    fold_all()
    found = Team.objects.order_by("pk")

    with CaptureQueriesContext(connection) as queries:
        listed = with_counts(found, "visits", "wins")
        counts = [(one.visits.count, one.wins.count) for one in found]

    # The teams, and their counts.
    assert len(queries) == 2
    assert listed == teams
    assert counts == [(n, n * 100) for n in range(1, 11)] + [(0, 0)] * 11


def test_with_counts__is_forgotten_by_the_next_add(team: Any) -> None:
    with_counts([team], "visits")
    team.visits.add(4)
    fold_all()

    assert team.visits.count == 4


def test_with_counts__triggers_what_is_pending(
    team: Any, triggers: list[list[int]]
) -> None:
    counter_id = team.visits.add().counter_id
    triggers.clear()

    with_counts([team], "visits", "wins")

    assert triggers == [[counter_id]]


def test_with_counts__of_nothing_asks_nobody(db: None) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert with_counts([], "visits") == []

    assert len(queries) == 0


def test_with_counts__reads_best_effort_counters_from_the_cache(
    team: Any, committed_namespace: Namespace
) -> None:
    committed_namespace.counter_type = "best-effort"
    committed_namespace.save()
    cache.clear()
    teams = [team, Team.objects.create(name="red")]
    team.visits.add(3)
    team.wins.add(1)
    fold_all()

    with_counts(teams, "visits", "wins")

    assert [(one.visits.count, one.wins.count) for one in teams] == [(3, 1), (0, 0)]
    assert team.visits.read().accuracy == "best-effort"
    cache.clear()
    assert teams[1].visits.read().count == 0


@pytest.fixture
def declaring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Team is an installed model."""
    fields = [(Team, field) for field in declared.fields_of(Team)]
    monkeypatch.setattr(declared, "declared", lambda: fields)
    declared.connect_deletions()
    yield
    post_delete.disconnect(sender=Team, dispatch_uid=f"rollups {Team._meta.label}")


@pytest.mark.django_db(transaction=True)
def test_deletion__deletes_only_the_counters_that_ask_for_it(declaring: None) -> None:
    for name in ("test", "other"):
        Namespace.objects.create(name=name)
    team = Team.objects.create(name="blue")
    kept, gone = team.visits, team.wins
    kept.add()
    gone.add()

    with transaction.atomic():
        team.delete()
        before_commit = set(Counter.objects.values_list("name", flat=True))

    assert before_commit == {kept.name, gone.name}
    assert [one.name for one in Counter.objects.all()] == [kept.name]


@pytest.mark.django_db(transaction=True)
def test_deletion__of_what_was_never_counted_is_quiet(declaring: None) -> None:
    Namespace.objects.create(name="other")

    Team.objects.create(name="blue").delete()

    assert not Team.objects.exists()


@pytest.mark.django_db
def test_migrate__creates_the_declared_namespaces(
    declaring: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    Namespace.objects.create(name="test", counter_type="accurate")

    created = declared.create_namespaces(using="default", apps=apps)

    assert created == ["other"]
    assert Namespace.objects.get(name="test").counter_type == "accurate"
    assert declared.create_namespaces(using="default", apps=apps) == []
