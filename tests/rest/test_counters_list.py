"""`GET namespaces/{ns}/counters`: lists, top N, search, pages."""

from __future__ import annotations

import base64
import json
import random
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counters import events
from counters.db.statements import fetch
from counters.errors import InvalidValue
from counters.events import NewEvent
from counters.models import Counter, LastWrite, Namespace
from counters.namespaces import lookup
from rollups.models import Rollup
from rollups.reading import listing
from rollups.rest import cursors
from tests.factories import fold_all
from tests.rest.conftest import Api, answer, problem

ORDERINGS = ["name", "-name", "count", "-count", "last_write_at", "-last_write_at"]
LIST = "namespaces/test/counters"


def get(api: Api, **query: object) -> Any:
    text = "&".join(
        f"{key}={quote(str(value), safe='')}" for key, value in query.items()
    )
    return api.get(f"{LIST}?{text}")


def names(body: Any) -> list[str]:
    return [one["name"] for one in body["results"]]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ordering", ["count", "-count"])
def test_list__is_in_the_order_of_the_counts_that_it_shows(
    committed_namespace: Namespace,
    triggers: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
    ordering: str,
) -> None:
    """A fold comes between the statement that orders and the one that reads."""
    events.add_many([NewEvent("test", name, i) for i, name in enumerate("abc")])
    fold_all()
    events.add(namespace="test", name="a", delta=10)

    def fold_and_fetch(*args: Any, **parameters: Any) -> Any:
        fold_all()
        return fetch(*args, **parameters)

    monkeypatch.setattr("rollups.reading.listing.fetch", fold_and_fetch)

    page = listing.list_counters(namespace="test", ordering=ordering)

    counts = [one.count for one in page.readings]
    assert counts == sorted([10, 1, 2], reverse=ordering.startswith("-"))


def follow(api: Api, url: str) -> Any:
    """Return the page that a link leads to."""
    return answer(api.get(url.partition("/api/v1/")[2]))


def walk(api: Api, **query: object) -> list[Any]:
    """Return all pages from the first to the last."""
    pages = [answer(get(api, **query))]
    while link := pages[-1]["next"]:
        assert len(pages) < 200
        pages.append(follow(api, link))
    return pages


def make(namespace: Namespace, counts: dict[str, int]) -> None:
    """Make counters as folds leave them; ties in every column."""
    counters = Counter.objects.bulk_create(
        Counter(namespace=namespace, name=name) for name in counts
    )
    Rollup.objects.bulk_create(
        Rollup(
            counter=counter,
            namespace_id=namespace.pk,
            total=counts[counter.name],
            last_write_at=f"2026-01-0{1 + abs(counts[counter.name]) % 3}T00:00:00Z",
        )
        for counter in counters
    )


def with_ties(number: int) -> dict[str, int]:
    return {f"c{i:03}": (i * 7) % 5 - 2 for i in range(number)}


@pytest.mark.django_db(transaction=True)
def test_list__holds_what_a_read_says(committed_api: Api) -> None:
    committed_api.add("folded", {"delta": 3})
    fold_all()
    committed_api.add("pending", {"delta": 4})

    body = answer(committed_api.get(LIST))

    assert body.keys() == {"results", "next", "previous"}
    assert (body["next"], body["previous"]) == (None, None)
    folded, pending = body["results"]
    for one in (folded, pending):
        read = answer(committed_api.read(one["name"], "?accuracy=eventual"))
        assert one.pop("as_of") <= read.pop("as_of")
        assert one == read
    assert (folded["count"], folded["pending"]) == (3, False)
    assert (pending["count"], pending["pending"]) == (0, True)


@pytest.mark.django_db(transaction=True)
def test_list__is_ordered_by_count_and_by_last_write(committed_api: Api) -> None:
    for name, delta in (("b", 3), ("a", -5), ("c", 10**15), ("d", 0)):
        committed_api.add(name, {"delta": delta})
        fold_all()
    committed_api.add("never folded", {"delta": 1})

    listed = {
        ordering: "".join(names(answer(get(committed_api, ordering=ordering))))
        for ordering in ORDERINGS
    }

    assert listed == {
        "name": "abcdnever folded",
        "-name": "never foldeddcba",
        "count": "adbc",
        "-count": "cbda",
        "last_write_at": "bacd",
        "-last_write_at": "dcab",
    }


def test_list__orders_names_by_their_bytes_and_counts_by_value(
    api: Api, namespace: Namespace
) -> None:
    make(namespace, {"é": 2**70, "B": 9, "a": 10, "_": -(2**70), "b": 2**53})

    assert names(answer(get(api))) == ["B", "_", "a", "b", "é"]
    by_count = answer(get(api, ordering="-count"))
    assert [one["count"] for one in by_count["results"]] == [
        str(2**70),
        str(2**53),
        10,
        9,
        str(-(2**70)),
    ]


@pytest.mark.parametrize("ordering", ORDERINGS)
@pytest.mark.parametrize("limit", [1, 3, 7, 29, 30, 31])
def test_pages__forwards_and_backwards_hold_each_counter_once(
    api: Api, namespace: Namespace, ordering: str, limit: int
) -> None:
    make(namespace, with_ties(30))
    whole = names(answer(get(api, ordering=ordering)))
    assert sorted(whole) == sorted(with_ties(30))

    there = walk(api, ordering=ordering, limit=limit)
    back = [there[-1]]
    while link := back[-1]["previous"]:
        assert len(back) < 200
        back.append(follow(api, link))

    assert [name for page in there for name in names(page)] == whole
    assert [names(page) for page in there[:-1]] == [
        whole[start : start + limit] for start in range(0, 30, limit)
    ][: len(there) - 1]
    assert [name for page in reversed(back) for name in names(page)] == whole
    assert there[0]["previous"] is None
    assert (back[-1]["previous"], names(back[-1])) == (None, names(there[0]))
    # Back and forth again is the same page.
    if len(there) > 1:
        assert names(follow(api, follow(api, there[1]["previous"])["next"])) == names(
            there[1]
        )


def test_pages__keep_search_ordering_and_limit(api: Api, namespace: Namespace) -> None:
    make(namespace, {"a & b": 1, "a & c": 2, "d": 3})

    first = answer(get(api, search="a & ", ordering="-count", limit=1))

    query = parse_qs(urlsplit(first["next"]).query)
    assert query.keys() == {"search", "ordering", "limit", "cursor"}
    assert query["search"] == ["a & "]
    assert names(first) == ["a & c"]
    assert names(follow(api, first["next"])) == ["a & b"]


@pytest.mark.parametrize("ordering", ["name", "-name"])
def test_pages__by_name_show_each_counter_once_while_others_come_and_go(
    api: Api, namespace: Namespace, ordering: str
) -> None:
    make(namespace, {f"m{i:02}": 0 for i in range(20)})
    page = answer(get(api, ordering=ordering, limit=5))
    seen = names(page)
    for round_ in range(10):
        if not page["next"]:
            break
        make(namespace, {f"a{round_}": 0, f"z{round_}": 0, f"m{round_:02}x": 0})
        # The very counter beside the cursor goes.
        Rollup.objects.filter(counter__name=seen[-1]).delete()
        Counter.objects.filter(name=seen[-1]).delete()
        page = follow(api, page["next"])
        seen += names(page)

    assert len(seen) == len(set(seen))
    assert {name for name in seen if len(name) == 3} == {f"m{i:02}" for i in range(20)}
    assert seen == sorted(seen, reverse=ordering == "-name")


def test_page__beyond_the_end_is_empty(api: Api, namespace: Namespace) -> None:
    make(namespace, {"a": 1, "b": 2})
    link = answer(get(api, limit=1))["next"]
    Rollup.objects.filter(counter__name="b").delete()
    Counter.objects.filter(name="b").delete()

    assert names(follow(api, link)) == []


SEARCHED = [
    "100%",
    "a_b",
    "aXb",
    "a\\b",
    "é🙂",
    "e",
    "É",
    "x\u00a0y",
    "'; --",
    "%s",
    "?",
]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("%", ["%s", "100%"]),
        ("_", ["a_b"]),
        ("a_b", ["a_b"]),
        ("\\", ["a\\b"]),
        ("é", ["é🙂"]),
        ("🙂", ["é🙂"]),
        ("e", ["e"]),
        ("\u00a0", ["x\u00a0y"]),
        ("'; --", ["'; --"]),
        ("%s", ["%s"]),
        ("?", ["?"]),
        ("nothing like it", []),
        ("", sorted(SEARCHED)),
        ("x" * 5_000, []),
    ],
)
@pytest.mark.parametrize("ordering", ["name", "count"])
def test_search__finds_names_that_hold_the_text(
    api: Api, namespace: Namespace, search: str, found: list[str], ordering: str
) -> None:
    make(namespace, dict.fromkeys(SEARCHED, 1))

    body = answer(get(api, search=search, ordering=ordering))

    assert sorted(names(body)) == found


@pytest.mark.parametrize("search", ["%00", "a%0Ab", "%1F", "%C2%85"])
def test_search__of_what_no_name_holds_is_refused(api: Api, search: str) -> None:
    assert problem(api.get(f"{LIST}?search={search}"), 400)["field"] == "search"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("ordering=size", "ordering"),
        ("ordering=", "ordering"),
        ("ordering=--name", "ordering"),
        ("ordering=namespace_id", "ordering"),
        ("ordering=name,count", "ordering"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=" + "9" * 5_000, "limit"),
        ("cursor=", "cursor"),
        ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=%C3%A9", "cursor"),
    ],
)
def test_list__names_what_is_wrong_with_the_query(
    api: Api, query: str, field: str
) -> None:
    refused = problem(api.get(f"{LIST}?{query}"), 400, "invalid")

    assert refused["field"] == field
    if field == "limit":
        assert "is not a whole number from 1 to 500." in str(refused["detail"])


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_cursor__of_another_ordering_is_refused(
    api: Api, namespace: Namespace, ordering: str
) -> None:
    make(namespace, with_ties(5))
    link = answer(get(api, ordering=ordering, limit=2))["next"]
    [cursor] = parse_qs(urlsplit(link).query)["cursor"]

    for other in set(ORDERINGS) - {ordering}:
        body = problem(get(api, ordering=other, cursor=cursor), 400)
        assert body["field"] == "cursor"


def forged(*fields: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()


FORGED = [
    forged("name", "a\0", 1, False),
    forged("name", "\ud800", 1, False),
    forged("name", "a", 2**63, False),
    forged("name", "a", -(2**63) - 1, False),
    forged("name", "a", None, False),
    forged("name", "a", "x", False),
    forged("name", "a"),
    forged("name", "a", 1, False, 5),
    forged("count", "1.5", 1, False),
    forged("count", "NaN", 1, False),
    forged("count", "1e99", 1, False),
    forged("count", "1" * 41, 1, False),
    forged("count", "1" * 5_000, 1, False),
    forged("count", None, 1, False),
    forged("count", {}, 1, False),
    forged("last_write_at", "yesterday", 1, False),
    forged("last_write_at", "2026-01-01T00:00:00", 1, False),
    forged("last_write_at", "0001-01-01T00:00:00+23:59", 1, False),
    forged("last_write_at", 5, 1, False),
    forged("last_write_at", "2026-01-01", 1, False),
    base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    base64.urlsafe_b64encode(b"5").decode(),
    base64.urlsafe_b64encode(b'["name", "a", Infinity, false]').decode(),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
]


@pytest.mark.parametrize("number", range(len(FORGED)))
def test_cursor__that_was_tampered_with_is_refused(api: Api, number: int) -> None:
    for ordering in ORDERINGS:
        body = problem(get(api, ordering=ordering, cursor=FORGED[number]), 400)
        assert body["field"] == "cursor"


# Values at the edge of what PostgreSQL can compare with: an answer, whichever.
@pytest.mark.parametrize(
    "fields",
    [
        ("count", "9" * 40, 1, False),
        ("count", "-" + "9" * 40, 1, True),
        ("last_write_at", "0001-01-01T00:00:00+14:00", 1, False),
        ("last_write_at", "9999-12-31T23:59:59-14:00", 1, False),
        ("last_write_at", "0001-01-01T00:00:00Z", -(2**63), True),
        ("name", "", 2**63 - 1, True),
        ("name", "x" * 100_000, 0, False),
        ("name", 5, True, 1),
    ],
)
def test_cursor__at_the_edge_is_no_error_of_the_server(
    api: Api, namespace: Namespace, fields: tuple[object, ...]
) -> None:
    make(namespace, with_ties(3))

    assert get(api, ordering=fields[0], cursor=forged(*fields)).status_code in {
        200,
        400,
    }


def test_cursor__of_an_offset_that_postgresql_does_not_take_is_in_utc() -> None:
    fields = ["last_write_at", "2026-01-02T00:00:00+23:59", 1, False]

    place = cursors.read(forged(*fields), "last_write_at")

    assert str(place.value) == "2026-01-01 00:01:00+00:00"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(
    ordering=st.sampled_from(ORDERINGS), fields=st.lists(JSON, min_size=3, max_size=3)
)
def test_cursor__of_any_fields_is_a_place_or_refused(
    ordering: str, fields: list[Any]
) -> None:
    try:
        place = cursors.read(forged(ordering, *fields), ordering)
    except InvalidValue:
        return
    assert cursors.read(cursors.write(place, ordering), ordering) == place


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), ordering=st.sampled_from(ORDERINGS))
def test_cursor__with_changed_letters_is_never_an_error_of_the_server(
    api: Api, data: st.DataObject, ordering: str
) -> None:
    if not Counter.objects.exists():
        make(Namespace.objects.get(name="test"), with_ties(5))
    link = answer(get(api, ordering=ordering, limit=2))["next"]
    [cursor] = parse_qs(urlsplit(link).query)["cursor"]
    at = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.characters(codec="ascii"))

    tampered = cursor[:at] + letter + cursor[at + 1 :]

    assert get(api, ordering=ordering, cursor=tampered).status_code in {200, 400}


def test_list__of_a_best_effort_namespace_says_why_not(
    api: Api, namespace: Namespace
) -> None:
    Namespace.objects.update(counter_type="best-effort")

    problem(get(api), 400, "not-for-best-effort")


def test_list__of_a_namespace_without_counters_is_empty(api: Api) -> None:
    for ordering in ORDERINGS:
        assert answer(get(api, ordering=ordering)) == {
            "results": [],
            "next": None,
            "previous": None,
        }


# --- What a page costs -----------------------------------------------------------------

MANY = 20_000


@pytest.fixture
def many(namespace: Namespace) -> Namespace:
    """A namespace of many counters among which many are tied, beside another one."""
    other = Namespace.objects.create(name="other")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO counters_counter (namespace_id, name)"
            " SELECT n.id, 'counter ' || i FROM generate_series(1, %s) AS i,"
            " counters_namespace AS n ORDER BY md5(i::text)",
            [MANY // 2],
        )
        cursor.execute(
            "INSERT INTO rollups_rollup (counter_id, namespace_id, total, last_write_at)"
            " SELECT id, namespace_id, id % 50, now() - id % 50 * interval '1 hour'"
            " FROM counters_counter"
        )
        cursor.execute("ANALYZE counters_counter, rollups_rollup")
    assert Counter.objects.filter(namespace=other).count() == MANY // 2
    return namespace


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for part in plan.get("Plans", []) for node in nodes(part))]


def explain(sql: str) -> list[dict[str, Any]]:
    """Return the nodes of a statement's plan, run; Django has put the values in."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql)
        [(plans,)] = cursor.fetchall()
    plans = json.loads(plans) if isinstance(plans, str) else plans
    return nodes(plans[0]["Plan"])


def place_at(ordering: str, offset: int, *, backwards: bool) -> listing.Place:
    """Return a place deep in the list, found the slow way."""
    column = listing.COLUMNS[ordering.removeprefix("-")]
    sign = "-" if ordering.startswith("-") else ""
    rows: Any = (
        Counter.objects.filter(namespace__name="test").values_list("name", "pk")
        if column == "name"
        else Rollup.objects.filter(counter__namespace__name="test").values_list(
            column, "pk"
        )
    )
    value, pk = rows.order_by(sign + column, sign + "pk")[offset]
    return listing.Place(value, pk, backwards)


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_page__reads_as_many_rows_as_it_shows_however_deep_it_lies(
    many: Namespace, ordering: str
) -> None:
    lookup.get(many.name)
    places = [None] + [
        place_at(ordering, offset, backwards=backwards)
        for offset in (100, MANY // 2 - 100)
        for backwards in (False, True)
    ]

    for place in places:
        with CaptureQueriesContext(connection) as queries:
            page = listing.list_counters(
                namespace=many.name, ordering=ordering, place=place, limit=20
            )
        assert len(page.readings) == 20
        assert len(queries) == 2
        plan = explain(queries.captured_queries[0]["sql"])

        types = [node["Node Type"] for node in plan]
        assert any(kind in {"Index Scan", "Index Only Scan"} for kind in types), types
        assert not {"Seq Scan", "Sort", "Bitmap Heap Scan"} & set(types), types
        # One more than the page shows that there is another.
        for node in plan:
            read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            assert read <= 25, (ordering, place, node)


def test_page__of_readings_looks_each_counter_up_by_its_key(many: Namespace) -> None:
    lookup.get(many.name)
    with CaptureQueriesContext(connection) as queries:
        listing.list_counters(namespace=many.name, ordering="-count", limit=20)

    plan = explain(queries.captured_queries[1]["sql"])
    of_counters = [
        node["Node Type"]
        for node in plan
        if node.get("Relation Name") in {"counters_counter", "rollups_rollup"}
    ]
    assert len(of_counters) == 2
    assert "Seq Scan" not in of_counters


def test_list__walks_a_thousand_ties(namespace: Namespace) -> None:
    """Many counters of one count: the cursor's second part, the id, settles them."""
    shuffled = [f"c{i}" for i in range(1_000)]
    random.Random(1).shuffle(shuffled)
    make(namespace, dict.fromkeys(shuffled, 7))
    seen: list[str] = []
    place = None
    while True:
        page = listing.list_counters(
            namespace=namespace.name, ordering="-count", place=place, limit=300
        )
        seen += [reading.name for reading in page.readings]
        place = page.next
        if place is None:
            break

    assert sorted(seen) == sorted(shuffled)


def test_list__needs_two_statements(
    namespace: Namespace, triggers: list[list[int]]
) -> None:
    events.add_many([events.NewEvent("test", f"c{i}") for i in range(100)])
    assert LastWrite.objects.count() == 100

    with CaptureQueriesContext(connection) as queries:
        listing.list_counters(namespace=namespace.name)

    assert len(queries) == 2
