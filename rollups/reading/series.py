"""Read a counter's sums per minute, hour or day (UTC), and its sum in a span."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Max, Min

from counters.db.statements import fetch
from counters.errors import CounterNotFound, InvalidValue, NotForBestEffort, stamp
from counters.models import Counter, Namespace
from counters.namespaces import best_effort, lookup
from counters.recording import names
from rollups import models
from rollups.reading.read import ask_for_folds

LENGTHS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_BUCKETS, MOST_BUCKETS = 60, 10_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """The folded sum of the events from `at` until the next bucket."""

    at: datetime
    delta: int
    events: int


@dataclass(frozen=True, slots=True)
class Series:
    """Buckets, oldest first; `since` and `until` (exclusive) are on bucket boundaries."""

    bucket: str
    since: datetime
    until: datetime
    buckets: list[Bucket]


@dataclass(frozen=True, slots=True)
class Total:
    """The folded sum of one counter from `since` up to, but not including, `until`.

    None means without a limit. The sum includes everything committed up to `as_of`.
    """

    name: str
    since: datetime | None
    until: datetime | None
    delta: int
    events: int
    as_of: datetime
    pending: bool


def series(
    *,
    namespace: str,
    name: str,
    bucket: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    with_gaps: bool = False,
) -> Series:
    """Return a counter's folded sums per bucket, by default of the last 60 buckets.

    A span that cuts a bucket is widened to the whole bucket. `with_gaps` adds the buckets
    without events. Raises NamespaceNotFound, CounterNotFound, InvalidValue,
    NotForBestEffort.
    """
    found = lookup.get(namespace)
    if best_effort.applies_to(found):
        raise NotForBestEffort(found.name, "series")
    bucket = found.bucket_size if bucket is None else bucket
    length = _length(found, bucket)
    since, until = _span(since, until or datetime.now(UTC), length)
    name = names.check(name)
    counter = (
        Counter.objects.using(DEFAULT_DB_ALIAS)
        .filter(namespace=found, name=name)
        .first()
    )
    if counter is None:
        raise CounterNotFound(namespace, name)
    rows = fetch(
        connection,
        "rollups",
        "read_series",
        counter_id=counter.pk,
        bucket=bucket,
        since=since,
        until=until,
    )
    buckets = [Bucket(at, int(delta), events) for at, delta, events in rows]
    if with_gaps:
        buckets = _filled(buckets, since, until, length)
    return Series(bucket, since, until, buckets)


def total(
    *,
    namespace: str,
    name: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Total:
    """Return the sum of a counter's folded events in a span, by default of all events.

    A span that cuts a bucket is widened to the whole bucket. Raises NamespaceNotFound,
    CounterNotFound, InvalidValue, NotForBestEffort.
    """
    found = lookup.get(namespace)
    if best_effort.applies_to(found):
        raise NotForBestEffort(found.name, "totals of a span")
    name = names.check(name)
    length = LENGTHS[found.bucket_size]
    if since is not None and until is not None and since >= until:
        raise InvalidValue("from", stamp(since), f"before {stamp(until)}")
    since = None if since is None else _round_down(since, length)
    try:
        until = None if until is None else _round_up(until, length)
    except OverflowError:
        # No bucket begins after the year 9999.
        until = None
    rows = fetch(
        connection,
        "rollups",
        "read_total",
        namespace_id=found.pk,
        name=name,
        since=since,
        until=until,
    )
    if not rows:
        raise CounterNotFound(namespace, name)
    [(counter_id, delta, events, as_of, pending)] = rows
    if pending:
        ask_for_folds([(counter_id, as_of)])
    return Total(name, since, until, int(delta), events, as_of, pending)


def span_of_data(counter: Counter) -> tuple[datetime, datetime] | None:
    """Return the starts of the counter's first and last bucket, or None without buckets."""
    found = (
        models.Bucket.objects.using(DEFAULT_DB_ALIAS)
        .filter(counter_id=counter.pk)
        .aggregate(first=Min("bucket_at"), last=Max("bucket_at"))
    )
    return (found["first"], found["last"]) if found["first"] else None


def _length(namespace: Namespace, bucket: str) -> timedelta:
    kept = LENGTHS[namespace.bucket_size]
    possible = [name for name, length in LENGTHS.items() if length >= kept]
    if bucket not in possible:
        raise InvalidValue(
            "bucket",
            bucket,
            f"one of {', '.join(possible)}: this namespace keeps sums per"
            f" {namespace.bucket_size}",
        )
    return LENGTHS[bucket]


def _span(
    since: datetime | None, until: datetime, length: timedelta
) -> tuple[datetime, datetime]:
    """Widen the span to whole buckets; without a start, take the last DEFAULT_BUCKETS."""
    if since is not None and since >= until:
        raise InvalidValue("from", stamp(since), f"before {stamp(until)}")
    try:
        last = _round_up(until, length)
        first = (
            last - DEFAULT_BUCKETS * length
            if since is None
            else _round_down(since, length)
        )
    except OverflowError as error:
        raise InvalidValue(
            "to", stamp(until), "an end whose bucket lies in the years 1 to 9999"
        ) from error
    if (last - first) // length > MOST_BUCKETS:
        raise InvalidValue(
            "from", stamp(first), f"at most {MOST_BUCKETS:,} buckets before the end"
        )
    return first, last


def _filled(
    buckets: list[Bucket], since: datetime, until: datetime, length: timedelta
) -> list[Bucket]:
    there = {bucket.at: bucket for bucket in buckets}
    number = (until - since) // length
    return [
        there.get(at, Bucket(at, 0, 0))
        for at in (since + i * length for i in range(number))
    ]


def _round_down(at: datetime, length: timedelta) -> datetime:
    return at - (at - EPOCH) % length


def _round_up(at: datetime, length: timedelta) -> datetime:
    return at + (EPOCH - at) % length
