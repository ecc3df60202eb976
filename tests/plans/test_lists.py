"""Lists, of the API and of the admin: a page by index, and never a count of everything."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from counters.models import Namespace
from rollups.monitor import diagnosis
from rollups.reading import listing
from tests.plans.explaining import Asked, Plan, explain_file
from tests.plans.seeding import COUNTERS, Seeded

pytestmark = pytest.mark.django_db
LIST = "/admin/counters/counter/"
PAGE = 50


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def asked_by(call: Any) -> list[tuple[str, Plan]]:
    asked = Asked()
    with connection.execute_wrapper(asked):
        call()
    return list(asked.plans())


@pytest.mark.parametrize("ordering", listing.ORDERINGS)
def test_api_list__reads_a_page_at_any_place(seeded: Seeded, ordering: str) -> None:
    namespace = Namespace.objects.get(pk=seeded.namespace_id)
    first = listing.list_counters(namespace=namespace.name, ordering=ordering)

    plans = asked_by(
        lambda: listing.list_counters(
            namespace=namespace.name, ordering=ordering, place=first.next
        )
    )

    assert len(plans) == 2
    for query, plan in plans:
        assert not plan.read_whole, query
        for table in ("counters_counter", "rollups_rollup"):
            # Rows of one value are sorted together, so it looks at a few more.
            assert plan.rows_read(table) <= PAGE + 10, query


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?p=20",
        "?namespace={big}",
        "?namespace={big}&p=20",
        "?namespace={big}&order=count",
        "?namespace={big}&order=count&p=20",
        "?namespace={big}&order=written",
        "?namespace={big}&q=page/000",
        "?q=page/000",
        "?q=page/0001234",
        "?q=nothing/like/it",
        "?state=pending",
        "?state=pending&namespace={big}&q=page/",
        "?state=quarantined",
    ],
)
def test_admin_list__asks_for_a_bounded_part_in_each_of_its_ways(
    seeded: Seeded, staff: Client, query: str
) -> None:
    address = LIST + query.format(big=seeded.namespace_id)

    plans = asked_by(lambda: staff.get(address))

    assert any("counters_counter" in asked for asked, _ in plans)
    for asked, plan in plans:
        assert not plan.read_whole, asked
        assert not plan.nodes("counters_event"), asked
        for table in ("counters_counter", "rollups_rollup"):
            # The paginator counts to a thousand; what is pending is passed once.
            assert plan.rows_read(table) < COUNTERS / 20, asked


@pytest.mark.parametrize("counter", ["few_id", "many_id", "settled_id"])
def test_counter_page__reads_little_of_a_long_history(
    seeded: Seeded, staff: Client, counter: str
) -> None:
    address = f"{LIST}{getattr(seeded, counter)}/change/"

    plans = asked_by(lambda: staff.get(address))

    for asked, plan in plans:
        assert not plan.read_whole, asked
        assert plan.rows_read("counters_event") <= 500, asked


def test_operations_page__reads_no_large_table(seeded: Seeded, staff: Client) -> None:
    plans = asked_by(lambda: staff.get("/ops"))

    for asked, plan in plans:
        assert not plan.read_whole, asked
        assert not plan.nodes("counters_event"), asked
        assert plan.rows_read("rollups_rollup") < COUNTERS / 10, asked


@pytest.mark.parametrize("prefix", ["page/000", "page/0001234", "kept/", "nothing/"])
def test_find_by_prefix__looks_into_each_namespace_once(
    seeded: Seeded, mode: str, prefix: str
) -> None:
    plan = explain_file("rollups", "find_by_prefix", mode, prefix=prefix, most=50)

    assert not plan.read_whole
    assert plan.rows_read("counters_counter") <= 50 * Namespace.objects.count()


def test_list_busiest__reads_an_index_and_the_rows_it_answers(
    seeded: Seeded, mode: str
) -> None:
    plan = explain_file("rollups", "list_busiest", mode, most=10, namespace_id=None)

    assert not plan.read_whole
    entries = [
        node
        for node in plan.nodes("rollups_rollup")
        if node["Node Type"] == "Index Only Scan"
    ]
    assert [node["Index Name"] for node in entries] == ["rollups_rollup_by_last_write"]
    assert plan.rows_read("rollups_rollup") <= 10 * Namespace.objects.count() + 10
    assert plan.rows_read("counters_counter") == 10


def test_namespaces__are_counted_up_to_a_bound_from_the_index_alone(
    seeded: Seeded, mode: str
) -> None:
    plan = explain_file(
        "counters", "count_some", mode, namespace_ids=[seeded.namespace_id], most=1_001
    )

    assert plan.scans("counters_counter") == {"Index Only Scan"}
    assert plan.rows_read("counters_counter") == 1_001


def test_sparklines__read_a_day_of_each_counter(seeded: Seeded) -> None:
    ids = list(range(seeded.many_id - PAGE, seeded.many_id))

    plans = asked_by(lambda: diagnosis.read_last_day(ids))

    [(_, plan)] = plans
    assert not plan.read_whole
