"""Counters attached to models. The models are proxies of Django's own: no table is made."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import connection, models, transaction
from django.db.models.signals import post_delete
from django.template import Context, Template
from django.test.utils import CaptureQueriesContext, isolate_apps
from django.utils.formats import localize

from counters.errors import InvalidValue
from counters.models import Counter, Namespace
from rollups import registry
from rollups.fields import CounterField, NotSaved, with_counts, with_counts_for_page
from tests.factories import fold_all

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


@isolate_apps("tests")
def keyed_by(key: models.Field[Any, Any], **attributes: Any) -> Any:
    """Return a model whose primary key is this field."""

    class Meta:
        app_label = "tests"

    body = {
        "__module__": __name__,
        "Meta": Meta,
        "key": key,
        "hits": CounterField(namespace="test", label="thing"),
    }
    return type("Thing", (models.Model,), body | attributes)


UUID_TEXT = "019b76da-a800-7000-8000-0123456789ab"


class Size(enum.Enum):
    BIG = "big"


class Colour(str, enum.Enum):  # noqa: UP042
    RED = "red"


class Slug:
    def __str__(self) -> str:
        return "a-title"


@pytest.mark.parametrize(
    ("field", "key", "kept"),
    [
        (models.BigAutoField, 42, "42"),
        (models.BigAutoField, "42", "42"),
        (models.BigAutoField, "042", "42"),
        (models.BigAutoField, " 42", "42"),
        (models.BigAutoField, 42.0, "42"),
        (models.BigAutoField, Decimal("42.0"), "42"),
        (models.UUIDField, UUID_TEXT, UUID_TEXT),
        (models.UUIDField, UUID_TEXT.upper(), UUID_TEXT),
        (models.UUIDField, UUID_TEXT.replace("-", ""), UUID_TEXT),
        (models.UUIDField, UUID(UUID_TEXT), UUID_TEXT),
        (models.CharField, "042", "042"),
        (models.CharField, 42, "42"),
        (models.CharField, UUID(UUID_TEXT), UUID_TEXT),
        (models.CharField, Colour.RED, "red"),
        (models.CharField, "cafe\u0301", "caf\u00e9"),
        (models.DateField, "2026-01-31", "2026-01-31"),
        (models.DateField, date(2026, 1, 31), "2026-01-31"),
    ],
)
def test_of__converts_a_key_as_its_field_does(
    field: type[models.Field[Any, Any]], key: object, kept: str
) -> None:
    model = keyed_by(field(primary_key=True))
    saved = model(key=key)
    saved._state.adding = False

    assert model.hits.of(key).name == f"thing:{kept}:hits"
    assert model.hits.of(saved) == saved.hits == model.hits.of(key)


PRICE = models.DecimalField(max_digits=10, decimal_places=2, primary_key=True)
INSTANT = models.DateTimeField(primary_key=True)
RATIO = models.FloatField(primary_key=True)
ADDRESS = models.GenericIPAddressField(primary_key=True)


@pytest.mark.parametrize(
    ("field", "keys", "kept"),
    [
        (PRICE, ["12", "12.0", "12.000", Decimal(12), 12], "12.00"),
        (PRICE, ["0", "-0", Decimal("-0.00")], "0.00"),
        (
            INSTANT,
            [
                "2026-03-01 12:00:00+02:00",
                datetime(2026, 3, 1, 10, tzinfo=UTC),
                # In TIME_ZONE, which is UTC.
                datetime(2026, 3, 1, 10),  # noqa: DTZ001
            ],
            "2026-03-01 10:00:00+00:00",
        ),
        (RATIO, [0.0, -0.0, "0"], "0.0"),
    ],
)
def test_of__names_a_key_as_the_database_returns_it(
    field: models.Field[Any, Any], keys: list[object], kept: str
) -> None:
    model = keyed_by(field.clone())

    for key in keys:
        created = model(key=key)
        created._state.adding = False
        assert model.hits.of(key).name == created.hits.name == f"thing:{kept}:hits"


@pytest.mark.parametrize(
    ("field", "key"),
    [
        *((PRICE, key) for key in ["1.005", "NaN", "100000000", "1e30"]),
        (ADDRESS, "127.0.0.01"),
    ],
)
def test_of__refuses_a_key_that_the_column_cannot_hold(
    field: models.Field[Any, Any], key: object
) -> None:
    with pytest.raises(InvalidValue, match="is not a primary key"):
        keyed_by(field.clone()).hits.of(key)


@pytest.mark.parametrize("field", [models.BigAutoField, models.CharField])
@pytest.mark.parametrize("key", [None, True, Size.BIG, Slug(), [42], ("42",), Group()])
def test_of__refuses_what_is_no_key(
    field: type[models.Field[Any, Any]], key: object
) -> None:
    model = keyed_by(field(primary_key=True))

    with pytest.raises(
        InvalidValue, match=r"is not a primary key of tests\.Thing"
    ) as no:
        model.hits.of(key)
    assert no.value.field == "key"


@pytest.mark.parametrize(
    "key", ["42.5", 42.5, Decimal("42.5"), "x", "", float("nan"), float("inf")]
)
def test_of__refuses_what_would_become_another_key(key: object) -> None:
    with pytest.raises(InvalidValue, match=r"not a primary key .*\(BigAutoField\)"):
        keyed_by(models.BigAutoField(primary_key=True)).hits.of(key)


def test_of__converts_each_part_of_a_composite_key() -> None:
    model = keyed_by(
        models.IntegerField(),
        pk=models.CompositePrimaryKey("key", "slug"),
        slug=models.SlugField(),
    )
    saved = model(key="042", slug="a")
    saved._state.adding = False

    assert model.hits.of(("042", "a")).name == "thing:(42, 'a'):hits"
    assert saved.hits == model.hits.of((42, "a")) == model.hits.of(saved)
    for wrong in (42, (42,), (42, None)):
        with pytest.raises(InvalidValue, match="is not a primary key"):
            model.hits.of(wrong)


@isolate_apps("tests")
def test_of__follows_a_key_to_the_field_that_it_points_at() -> None:
    class Article(models.Model):
        slug = models.SlugField(unique=True)

        class Meta:
            app_label = "tests"

    class Page(models.Model):
        article = models.OneToOneField(
            Article, models.CASCADE, to_field="slug", primary_key=True
        )
        hits = CounterField(namespace="test")

        class Meta:
            app_label = "tests"

    page = Page(article=Article(slug="042"))
    page._state.adding = False

    assert page.hits.name == Page.hits.of("042").name == "tests.page:042:hits"
    with pytest.raises(InvalidValue, match=r"not a primary key of tests\.Page"):
        Page.hits.of(Article(slug="042"))


def test_counter__of_a_deleted_object_is_an_error(team: Any) -> None:
    team.delete()

    with pytest.raises(NotSaved, match="not in the database"):
        _ = team.visits


def test_counter__takes_tokens_of_orders(team: Any) -> None:
    order = UUID(UUID_TEXT.replace("-7", "-4"))

    first = team.visits.add(5, token=17)
    again = team.visits.add(5, token="17")
    of_order = team.visits.add(2, token=order)

    assert (first.token, first.duplicate, again.duplicate) == ("17", False, True)
    assert of_order.token == str(order)
    assert team.visits.read(accuracy="accurate").count == 7


def test_class__gives_the_field_itself() -> None:
    assert isinstance(Team.visits, CounterField)
    assert {field.attribute for field in registry.fields_of(Team)} == {"visits", "wins"}


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


def test_with_counts__refuses_what_is_no_counter(team: Any) -> None:
    with pytest.raises(InvalidValue, match="'name' is not a CounterField of Team"):
        with_counts([team], "visits", "name")


def test_text__is_the_count_that_was_loaded(team: Any) -> None:
    team.visits.add(1234)
    fold_all()
    with_counts([team], "visits")

    with CaptureQueriesContext(connection) as queries:
        page = Template("{{ team.visits }}").render(Context({"team": team}))

    assert (page, len(queries)) == ("1234", 0)
    team.visits.add()
    assert str(team.visits) == "1234"


def test_text__is_grouped_as_django_groups_numbers(team: Any, settings: Any) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    team.visits.add(1234)
    fold_all()

    assert str(team.visits) == localize(1234) == "1,234"


def test_text__of_an_object_that_is_not_saved_is_empty() -> None:
    page = Template("[{{ team.visits }}]").render(Context({"team": Team(name="red")}))

    assert page == "[]"


def test_page__shows_a_dash_where_the_database_fails(
    team: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A count fails in the caller's transaction, which the rest of the page still needs."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE rollups_rollup RENAME TO gone")

        assert str(team.visits) == "–"  # noqa: RUF001
        with_counts_for_page([team], "visits", "wins")
        with CaptureQueriesContext(connection) as queries:
            assert (str(team.visits), str(team.wins)) == ("–", "–")  # noqa: RUF001
        assert Team.objects.get() == team
        transaction.set_rollback(True)

    assert len(queries) == 0
    assert len(caplog.records) == 2
    assert team.visits.count == 0


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
    fields = [(Team, field) for field in registry.fields_of(Team)]
    monkeypatch.setattr(registry, "declared", lambda: fields)
    registry.connect_deletions()
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

    created = registry.create_namespaces(using="default", apps=apps)

    assert created == ["other"]
    assert Namespace.objects.get(name="test").counter_type == "accurate"
    assert registry.create_namespaces(using="default", apps=apps) == []
