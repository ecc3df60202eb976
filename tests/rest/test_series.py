"""`GET namespaces/{ns}/counters/{name}/series`."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from counters.models import Event, Namespace
from counters.namespaces import lookup
from rollups.models import Rollup
from rollups.reading import series
from tests.factories import fold_all
from tests.rest.conftest import Api, answer, counter, problem

# Noon two days ago: every test's events are within a window of three days.
NOON = datetime.now(UTC).replace(
    hour=12, minute=0, second=0, microsecond=0
) - timedelta(days=2)
TICK = timedelta(microseconds=1)
LENGTHS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
Add = Callable[..., None]


def z(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def get(api: Api, name: str = "hits", **query: object) -> Any:
    text = "&".join(
        f"{key.rstrip('_')}={z(value) if isinstance(value, datetime) else value}"
        for key, value in query.items()
    )
    return api.get(f"{counter(name)}/series?{text}")


def deltas(body: Any) -> list[Any]:
    return [bucket["delta"] for bucket in body["buckets"]]


@pytest.fixture
def series_api(committed_api: Api) -> Api:
    Namespace.objects.update(accept_past=timedelta(days=5))
    lookup.forget_all()
    return committed_api


@pytest.fixture
def add(series_api: Api) -> Add:
    """Adds at an instant, and folds unless told not to."""
    number = [0]

    def make(
        delta: int, at: datetime, *, fold: bool = True, name: str = "hits"
    ) -> None:
        number[0] += 1
        token = f"t{number[0]}"
        body = {"delta": delta, "token": token, "generation_time": z(at)}
        answer(series_api.add(name, body))
        if fold:
            fold_all()

    return make


@pytest.mark.parametrize("bucket", LENGTHS)
def test_series__puts_events_just_beside_a_boundary_on_its_right_side(
    series_api: Api, add: Add, bucket: str
) -> None:
    length = LENGTHS[bucket]
    edge = NOON if bucket != "day" else NOON.replace(hour=0)
    for delta, at in {1: edge - TICK, 10: edge, 100: edge + TICK}.items():
        add(delta, at)
    add(1_000, edge + length - TICK)
    add(10_000, edge + length)

    body = answer(
        get(series_api, bucket=bucket, from_=edge - length, to=edge + 2 * length)
    )

    assert body["bucket"] == bucket
    assert (body["from"], body["to"]) == (z(edge - length), z(edge + 2 * length))
    assert body["buckets"] == [
        {"at": z(edge - length), "delta": 1, "events": 1},
        {"at": z(edge), "delta": 1_110, "events": 3},
        {"at": z(edge + length), "delta": 10_000, "events": 1},
    ]


@pytest.mark.parametrize("bucket", LENGTHS)
def test_series__holds_from_and_not_to(series_api: Api, add: Add, bucket: str) -> None:
    length = LENGTHS[bucket]
    edge = NOON if bucket != "day" else NOON.replace(hour=0)
    for delta, at in {1: edge - TICK, 10: edge, 100: edge + length}.items():
        add(delta, at)

    def asked(since: datetime, until: datetime) -> list[Any]:
        return deltas(answer(get(series_api, bucket=bucket, from_=since, to=until)))

    assert asked(edge, edge + length) == [10]
    # A span that cuts a bucket is widened to hold the whole of it.
    assert asked(edge - TICK, edge + length) == [1, 10]
    assert asked(edge, edge + length + TICK) == [10, 100]
    assert asked(edge + TICK, edge + length - TICK) == [10]
    assert asked(edge + 2 * length, edge + 3 * length) == []


def test_series__has_no_empty_buckets_unless_asked(series_api: Api, add: Add) -> None:
    add(5, NOON)
    add(-7, NOON + timedelta(minutes=3))
    span: Any = {
        "from_": NOON - timedelta(minutes=1),
        "to": NOON + timedelta(minutes=5),
    }

    without = answer(get(series_api, **span))
    also_without = answer(get(series_api, **span, gaps="false"))
    with_gaps = answer(get(series_api, **span, gaps="true"))

    assert deltas(without) == deltas(also_without) == [5, -7]
    assert deltas(with_gaps) == [0, 5, 0, 0, -7, 0]
    assert [bucket["events"] for bucket in with_gaps["buckets"]] == [0, 1, 0, 0, 1, 0]
    ats = [datetime.fromisoformat(bucket["at"]) for bucket in with_gaps["buckets"]]
    assert ats == [span["from_"] + number * timedelta(minutes=1) for number in range(6)]


def test_series__of_a_bucket_whose_events_cancel_out_shows_it(
    series_api: Api, add: Add
) -> None:
    add(5, NOON)
    add(-5, NOON)

    body = answer(get(series_api, from_=NOON, to=NOON + timedelta(hours=1)))

    assert body["buckets"] == [{"at": z(NOON), "delta": 0, "events": 2}]


def test_series__takes_late_events_into_their_own_buckets(
    series_api: Api, add: Add
) -> None:
    add(1, NOON + timedelta(hours=2))
    add(10, NOON + timedelta(hours=1))
    add(100, NOON)
    add(1_000, NOON + timedelta(hours=2))

    body = answer(
        get(series_api, bucket="hour", from_=NOON, to=NOON + timedelta(hours=3))
    )

    assert deltas(body) == [100, 10, 1_001]


def test_series__holds_what_is_folded(series_api: Api, add: Add) -> None:
    add(1, NOON)
    add(10, NOON, fold=False)
    span: Any = {"from_": NOON, "to": NOON + timedelta(hours=1)}
    assert deltas(answer(get(series_api, **span))) == [1]

    fold_all()

    assert deltas(answer(get(series_api, **span))) == [11]


def test_series__by_default_are_the_last_60_buckets_up_to_now(
    series_api: Api, add: Add
) -> None:
    now = datetime.now(UTC)
    add(1, now - timedelta(hours=3))
    add(10, now)

    with time_machine.travel(now, tick=False):
        minutes = answer(get(series_api))
        hours = answer(get(series_api, bucket="hour"))
        gaps = answer(get(series_api, gaps="true"))

    assert (minutes["bucket"], deltas(minutes)) == ("minute", [10])
    assert deltas(hours) == [1, 10]
    assert len(gaps["buckets"]) == 60
    assert gaps["buckets"][-1]["delta"] == 10
    until = datetime.fromisoformat(minutes["to"])
    assert now < until <= now + timedelta(minutes=1)


def test_series__with_a_start_only_goes_up_to_now(series_api: Api, add: Add) -> None:
    now = datetime.now(UTC)
    add(1, NOON)
    add(10, now)

    body = answer(get(series_api, bucket="hour", from_=NOON))

    assert deltas(body) == [1, 10]


def test_series__with_an_end_only_holds_60_buckets_before_it(
    series_api: Api, add: Add
) -> None:
    add(1, NOON - timedelta(minutes=60))
    add(10, NOON - timedelta(minutes=1))
    add(100, NOON)

    assert deltas(answer(get(series_api, to=NOON))) == [1, 10]
    assert deltas(answer(get(series_api, to=NOON + timedelta(minutes=1)))) == [10, 100]


@pytest.mark.parametrize(
    ("kept", "possible"),
    [
        ("minute", ["minute", "hour", "day"]),
        ("hour", ["hour", "day"]),
        ("day", ["day"]),
    ],
)
def test_series__may_be_coarser_than_kept_but_not_finer(
    series_api: Api, add: Add, kept: str, possible: list[str]
) -> None:
    Namespace.objects.update(bucket_size=kept)
    lookup.forget_all()
    midnight = NOON.replace(hour=0)
    for minutes in (0, 1, 61, 24 * 60 - 1):
        add(1, midnight + timedelta(minutes=minutes))
    span: Any = {"from_": midnight, "to": midnight + timedelta(days=1)}
    expected = {"minute": [1, 1, 1, 1], "hour": [2, 1, 1], "day": [4]}

    for bucket, sums in expected.items():
        response = get(series_api, bucket=bucket, **span)
        if bucket in possible:
            assert deltas(answer(response)) == sums
        else:
            detail = problem(response, 400, "invalid")["detail"]
            assert f"one of {', '.join(possible)}" in detail
    assert answer(get(series_api, **span))["bucket"] == kept


def test_series__stays_whole_when_the_bucket_size_changes(
    series_api: Api, add: Add
) -> None:
    for number, size in enumerate(("minute", "hour", "day", "minute")):
        Namespace.objects.update(bucket_size=size)
        lookup.forget_all()
        add(10**number, NOON + timedelta(minutes=number))
    midnight = NOON.replace(hour=0)

    for bucket in LENGTHS:
        body = answer(
            get(
                series_api,
                bucket=bucket,
                from_=midnight,
                to=midnight + timedelta(days=1),
            )
        )
        assert sum(deltas(body)) == 1_111
        assert sum(one["events"] for one in body["buckets"]) == 4


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_series__sums_over_all_buckets_are_the_total_always(
    series_api: Api, add: Add, seed: int
) -> None:
    """With late events, negative ones, clears, repeats, and folds at any time."""
    chance = random.Random(seed)
    for _ in range(40):
        at = NOON + timedelta(seconds=chance.randint(-100_000, 100_000))
        add(chance.randint(-9, 9), at, fold=chance.random() < 0.3)
        if chance.random() < 0.1:
            answer(series_api.post(f"{counter('hits')}/clear", {}))
        if chance.random() < 0.2:
            fold_all()
            rollup = Rollup.objects.get()
            for bucket in LENGTHS:
                length = LENGTHS[bucket]
                since, until = NOON - timedelta(days=3), NOON + timedelta(days=3)
                total = events = 0
                # In several calls: a minute's series has too many buckets for one.
                while since < until:
                    body = answer(
                        get(
                            series_api,
                            bucket=bucket,
                            from_=since,
                            to=min(until, since + 5_000 * length),
                        )
                    )
                    total += sum(deltas(body))
                    events += sum(one["events"] for one in body["buckets"])
                    since = datetime.fromisoformat(body["to"])
                assert (total, events) == (int(rollup.total), rollup.events)
    fold_all()
    assert Rollup.objects.get().events == Event.objects.count()


def test_series__sends_large_sums_as_text(series_api: Api, add: Add) -> None:
    for _ in range(3):
        add(2**63 - 1, NOON)
    add(2**53 - 1, NOON + timedelta(minutes=1))

    body = answer(get(series_api, from_=NOON, to=NOON + timedelta(hours=1)))

    assert deltas(body) == [str(3 * (2**63 - 1)), 2**53 - 1]


def test_series__is_of_its_counter_only(series_api: Api, add: Add) -> None:
    add(1, NOON)
    add(10, NOON, name="other")

    assert deltas(answer(get(series_api, from_=NOON, to=NOON + TICK))) == [1]


def test_series__of_a_counter_that_was_never_folded_is_empty(
    series_api: Api, add: Add
) -> None:
    add(1, NOON, fold=False)

    assert answer(get(series_api, bucket="day"))["buckets"] == []


def test_series__may_have_10_000_buckets_and_no_more(series_api: Api, add: Add) -> None:
    add(1, NOON)
    since = NOON - timedelta(minutes=9_999)

    body = answer(
        get(series_api, from_=since, to=NOON + timedelta(minutes=1), gaps="true")
    )
    assert len(body["buckets"]) == series.MOST_BUCKETS == 10_000
    detail = problem(
        get(series_api, from_=since, to=NOON + timedelta(minutes=1) + TICK), 400
    )["detail"]
    assert "10,000 buckets" in detail


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("bucket=second", "bucket"),
        ("bucket=", "bucket"),
        ("bucket=%00", "bucket"),
        ("from=yesterday", "from"),
        ("from=2026-01-01T00:00:00", "from"),
        ("from=2026-01-01", "from"),
        ("from=", "from"),
        ("to=2026-13-01T00:00:00Z", "to"),
        ("to=1", "to"),
        ("gaps=yes", "gaps"),
        ("gaps=1", "gaps"),
        ("gaps=", "gaps"),
        ("from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
        ("from=2026-01-01T00:00:01Z&to=2026-01-01T00:00:00Z", "from"),
        ("from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00%2B01:00", "from"),
        ("from=9999-01-01T00:00:00Z", "from"),
        ("from=0001-01-01T00:00:00Z", "from"),
        ("to=9999-12-31T23:59:59Z", "to"),
        ("to=0001-01-01T00:00:00Z", "to"),
        ("to=0001-01-01T00:00:00%2B14:00", "to"),
        ("bucket=day&from=0001-01-01T00:00:00Z&to=9999-12-31T00:00:00Z", "from"),
    ],
)
def test_series__names_what_is_wrong_with_the_query(
    api: Api, query: str, field: str
) -> None:
    api.add("hits", {"delta": 1})

    response = api.get(f"{counter('hits')}/series?{query}")

    assert problem(response, 400, "invalid")["field"] == field


@pytest.mark.parametrize("to", ["9999-12-30T00:00:00Z", "0001-03-02T00:00:00Z"])
def test_series__of_any_year_is_answered(api: Api, to: str) -> None:
    api.add("hits", {"delta": 1})

    assert answer(api.get(f"{counter('hits')}/series?bucket=day&to={to}"))


def test_series__takes_times_of_any_offset(series_api: Api, add: Add) -> None:
    add(1, NOON)
    local = NOON.isoformat().replace("+00:00", "").replace("T12", "T14") + "%2B02:00"

    body = answer(series_api.get(f"{counter('hits')}/series?from={local}&bucket=hour"))

    assert body["from"] == z(NOON)
    assert deltas(body) == [1]


def test_series__of_an_unknown_counter_is_not_found(api: Api) -> None:
    problem(get(api, "nothing"), 404, "counter-not-found")


def test_series__of_a_best_effort_namespace_says_why_not(api: Api) -> None:
    Namespace.objects.update(counter_type="best-effort")
    lookup.forget_all()

    problem(get(api), 400, "not-for-best-effort")


def total(
    api: Api, since: datetime | None = None, until: datetime | None = None
) -> Any:
    ends = [("from", since), ("to", until)]
    more = "".join(f"&{end}={z(at)}" for end, at in ends if at)
    return answer(api.get(f"namespaces/test/total?name=hits{more}"))


def test_total__sums_what_lies_in_the_span(series_api: Api, add: Add) -> None:
    minute = LENGTHS["minute"]
    for number, at in enumerate(
        [NOON - TICK, NOON, NOON + minute / 2, NOON + minute, NOON + 2 * minute]
    ):
        add(10**number, at, fold=False)
    before = total(series_api)
    fold_all()
    everything = total(series_api)

    assert (before["delta"], before["events"], before["pending"]) == (0, 0, True)
    assert everything.keys() == {
        *("name", "from", "to", "delta", "events", "as_of", "pending")
    }
    assert (everything["from"], everything["to"]) == (None, None)
    assert (everything["delta"], everything["events"]) == (11111, 5)
    assert everything["pending"] is False
    assert total(series_api, NOON, NOON + minute)["delta"] == 110
    assert total(series_api, NOON)["delta"] == 11110
    assert total(series_api, None, NOON)["delta"] == 1


def test_total__of_a_span_that_cuts_buckets_is_of_the_whole_of_them(
    series_api: Api, add: Add
) -> None:
    minute = LENGTHS["minute"]
    for number in range(4):
        add(10**number, NOON + number * minute)

    body = total(series_api, NOON + minute - TICK, NOON + minute + TICK)

    assert (body["delta"], body["events"]) == (11, 2)
    assert (body["from"], body["to"]) == (z(NOON), z(NOON + 2 * minute))


def test_total__of_any_year_is_answered(series_api: Api, add: Add) -> None:
    add(3, NOON)
    end = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)

    body = total(series_api, datetime(1, 1, 1, tzinfo=UTC), end)

    assert (body["delta"], body["to"]) == (3, None)
    path = f"namespaces/test/total?name=hits&from={z(NOON)}&to={z(NOON)}"
    assert problem(series_api.get(path), 400, "invalid")["field"] == "from"


@pytest.mark.parametrize("offset", ["+02:00", "+0200", "+02"])
@pytest.mark.parametrize("time", ["2026-01-01T00:00:00", "2026-01-01%2000:00:00.5"])
def test_series__of_a_time_with_a_bare_plus_says_how_to_write_it(
    api: Api, time: str, offset: str
) -> None:
    api.add("hits", {"delta": 1})

    body = problem(api.get(f"{counter('hits')}/series?from={time}{offset}"), 400)

    assert "%2B" in body["detail"]
    assert "%2B" not in problem(get(api, from_="2026-01-01 00:00"), 400)["detail"]
