"""The JSON bodies of the read API."""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict

from counters.errors import stamp
from counters.json_values import exact_number
from counters.rest.responses import NO_PROMISE
from rollups.counts import Accuracy, Reading
from rollups.reading.clear import Cleared
from rollups.reading.series import Series, Total


class ReadingBody(TypedDict):
    """A counter as it was read."""

    namespace: str
    name: str
    count: int | str
    as_of: str
    pending: bool
    accuracy: Accuracy
    last_write_at: str | None
    promise: NotRequired[str]


class CountBody(TypedDict):
    """What AddAndGet says of the count."""

    count: int | str
    as_of: str
    pending: bool
    accuracy: Accuracy


class FoundBody(CountBody):
    """One of many counters that were read together; `found` is false if it does not exist."""

    name: str
    found: bool
    last_write_at: str | None
    promise: NotRequired[str]


class ClearedBody(TypedDict):
    """The answer to a clear.

    `count_before` is null for a duplicate, and for users who may write but not read.
    """

    token: str | None
    event_time: str
    duplicate: bool
    count_before: int | str | None
    promise: NotRequired[str]


class BucketBody(TypedDict):
    """One bucket of a series."""

    at: str
    delta: int | str
    events: int


# `from` is a keyword of Python.
SeriesBody = TypedDict(
    "SeriesBody",
    {"bucket": str, "from": str, "to": str, "buckets": list[BucketBody]},
)


TotalBody = TypedDict(
    "TotalBody",
    {
        "name": str,
        "from": str | None,
        "to": str | None,
        "delta": int | str,
        "events": int,
        "as_of": str,
        "pending": bool,
    },
)


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


def found_body(reading: Reading) -> FoundBody:
    body: FoundBody = {
        "name": reading.name,
        "found": reading.exists,
        "count": exact_number(reading.count),
        "as_of": stamp(reading.as_of),
        "pending": reading.pending,
        "accuracy": reading.accuracy,
        "last_write_at": _stamp_or_none(reading.last_write_at),
    }
    if reading.accuracy == "best-effort":
        body["promise"] = NO_PROMISE
    return body


def _stamp_or_none(at: datetime | None) -> str | None:
    return None if at is None else stamp(at)


def count_body(reading: Reading) -> CountBody:
    return {
        "count": exact_number(reading.count),
        "as_of": stamp(reading.as_of),
        "pending": reading.pending,
        "accuracy": reading.accuracy,
    }


def cleared_body(cleared: Cleared, *, may_read: bool) -> ClearedBody:
    before = cleared.count_before if may_read else None
    body: ClearedBody = {
        "token": cleared.token,
        "event_time": stamp(cleared.event_time),
        "duplicate": cleared.duplicate,
        "count_before": None if before is None else exact_number(before),
    }
    if cleared.token is None:
        body["promise"] = NO_PROMISE
    return body


def reading_body(reading: Reading) -> ReadingBody:
    body: ReadingBody = {
        "namespace": reading.namespace,
        "name": reading.name,
        "count": exact_number(reading.count),
        "as_of": stamp(reading.as_of),
        "pending": reading.pending,
        "accuracy": reading.accuracy,
        "last_write_at": _stamp_or_none(reading.last_write_at),
    }
    if reading.accuracy == "best-effort":
        body["promise"] = NO_PROMISE
    return body
