"""JSON bodies of the read API, and their OpenAPI schemas."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, NotRequired, TypedDict

from counters.errors import stamp
from counters.json_values import exact_number
from counters.rest.schemas import (
    CounterName,
    Doc,
    Exact,
    GenerationTime,
    Instant,
    NewToken,
    PromiseBody,
    RecordedBody,
    Token,
    promise_body,
)
from rollups.reading.clear import Cleared
from rollups.reading.read import Accuracy, Reading
from rollups.reading.series import LENGTHS, Series, Total

# The limit of one call: enough for a page of a large site, in one statement.
MOST_NAMES = 1_000
NAMES_WANTED = f"a list of at most {MOST_NAMES:,} counter names"
AccuracyOf = Annotated[
    Accuracy,
    Doc(
        "eventual: the folded events. accurate: every event committed before the read."
    ),
]
LastWrite = Annotated[
    str | None,
    Doc(
        "When the counter was last written. Null in a best-effort namespace, and for a"
        " counter that does not exist.",
        format="date-time",
    ),
]
Pending = Annotated[
    bool,
    Doc(
        "True if events wait to be folded. An accurate count includes them; an eventual"
        " count does not."
    ),
]
AsOf = Annotated[
    Instant, Doc("The result includes everything committed up to this instant.")
]
Link = Annotated[str | None, Doc("The URL of that page; null if there is none.")]
Events = Annotated[int, Doc("How many events the sum includes.", minimum=0)]


class CountBody(TypedDict):
    """A count, and how fresh it is."""

    count: Exact
    as_of: AsOf
    pending: Pending
    accuracy: AccuracyOf


class ReadingBody(CountBody, PromiseBody):
    """A counter as it was read."""

    namespace: str
    name: CounterName
    last_write_at: LastWrite


class AddedBody(RecordedBody, CountBody):
    """The answer to an add that also reads."""


class ReadManyBody(TypedDict):
    """The names of the counters to read."""

    names: Annotated[
        list[CounterName],
        Doc(
            "The answer has the same order. A name that is sent twice has two results.",
            maxItems=MOST_NAMES,
        ),
    ]
    accuracy: NotRequired[AccuracyOf | None]


class FoundBody(CountBody, PromiseBody):
    """One of many counters that were read together."""

    name: CounterName
    found: Annotated[bool, Doc("False if the counter does not exist; the count is 0.")]
    last_write_at: LastWrite


class ReadManyAnswerBody(TypedDict):
    """The answer to a read of many counters."""

    results: list[FoundBody]


class PageBody(TypedDict):
    """A page of a list of counters."""

    results: list[ReadingBody]
    next: Link
    previous: Link


class ByNameBody(TypedDict):
    """A counter's name."""

    name: CounterName


class DeleteByNameBody(ByNameBody):
    """The deletion of a counter."""

    confirm: Annotated[str, Doc("Exactly the counter's name.")]


class NewClearBody(TypedDict):
    """A clear."""

    token: NotRequired[NewToken]
    generation_time: NotRequired[GenerationTime]


class ClearedBody(PromiseBody):
    """The answer to a clear."""

    token: Token
    event_time: Instant
    duplicate: Annotated[bool, Doc("True if the token has cleared before.")]
    count_before: Annotated[
        Exact | None,
        Doc(
            "The count that was subtracted. Null for a duplicate, and for users who may not"
            " read."
        ),
    ]


class BucketBody(TypedDict):
    """One bucket of a series."""

    at: Annotated[Instant, Doc("The bucket's start.")]
    delta: Exact
    events: Events


# `from` is a keyword of Python.
SeriesBody = TypedDict(
    "SeriesBody",
    {
        "bucket": Annotated[str, Doc(enum=[*LENGTHS])],
        "from": Annotated[Instant, Doc("The first bucket's start.")],
        "to": Annotated[Instant, Doc("The end of the last bucket, exclusive.")],
        "buckets": list[BucketBody],
    },
)
TotalBody = TypedDict(
    "TotalBody",
    {
        "name": CounterName,
        "from": Annotated[str | None, Doc("Null: no start.", format="date-time")],
        "to": Annotated[
            str | None, Doc("Exclusive. Null: no end.", format="date-time")
        ],
        "delta": Exact,
        "events": Events,
        "as_of": AsOf,
        "pending": Pending,
    },
)


class HealthBody(TypedDict):
    """The answer of /healthz."""

    status: Literal["ok"]


class ReadinessBody(HealthBody):
    """The answer of /readyz."""

    pending: Annotated[int, Doc("Counters that wait to be folded.", minimum=0)]
    lag_seconds: Annotated[float, Doc(minimum=0)]


class UnavailableBody(TypedDict):
    """The answer of /readyz if the database does not answer."""

    status: Literal["unavailable"]
    detail: str


def count_body(reading: Reading) -> CountBody:
    return {
        "count": exact_number(reading.count),
        "as_of": stamp(reading.as_of),
        "pending": reading.pending,
        "accuracy": reading.accuracy,
    }


def reading_body(reading: Reading) -> ReadingBody:
    return {
        "namespace": reading.namespace,
        "name": reading.name,
        **count_body(reading),
        "last_write_at": _stamp_or_none(reading.last_write_at),
        **promise_body(best_effort=reading.accuracy == "best-effort"),
    }


def found_body(reading: Reading) -> FoundBody:
    return {
        "name": reading.name,
        "found": reading.exists,
        **count_body(reading),
        "last_write_at": _stamp_or_none(reading.last_write_at),
        **promise_body(best_effort=reading.accuracy == "best-effort"),
    }


def cleared_body(cleared: Cleared, *, may_read: bool) -> ClearedBody:
    before = cleared.count_before if may_read else None
    return {
        "token": cleared.token,
        "event_time": stamp(cleared.event_time),
        "duplicate": cleared.duplicate,
        "count_before": None if before is None else exact_number(before),
        **promise_body(best_effort=cleared.token is None),
    }


def series_body(series: Series) -> SeriesBody:
    return {
        "bucket": series.bucket,
        "from": stamp(series.since),
        "to": stamp(series.until),
        "buckets": [
            {
                "at": stamp(bucket.at),
                "delta": exact_number(bucket.delta),
                "events": bucket.events,
            }
            for bucket in series.buckets
        ],
    }


def total_body(total: Total) -> TotalBody:
    return {
        "name": total.name,
        "from": _stamp_or_none(total.since),
        "to": _stamp_or_none(total.until),
        "delta": exact_number(total.delta),
        "events": total.events,
        "as_of": stamp(total.as_of),
        "pending": total.pending,
    }


def _stamp_or_none(at: datetime | None) -> str | None:
    return None if at is None else stamp(at)
