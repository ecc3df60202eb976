"""The read API's calls, as `GET /api/schema` describes them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from counters.errors import (
    AccessDenied,
    InvalidValue,
    MissingValue,
    NotAnchored,
    NotConfirmed,
    NotForBestEffort,
)
from counters.recording.names import WANTED as COUNTER_NAME_WANTED
from counters.rest import openapi_operations as writes
from counters.rest.openapi import (
    BY_NAME,
    CSRF,
    IN_QUERY,
    NAME,
    NAME_IN_QUERY,
    NAMESPACE,
    NO_NAME,
    TEXT,
    by_path_and_by_name,
    operation,
    query,
)
from counters.rest.openapi_operations import ADDED, AT, IDEMPOTENCY_KEY, NEXT_DAY, TOKEN
from counters.rest.schemas import Json, NewEventBody, ref, schema
from rollups.reading.listing import DEFAULT_LIMIT, MOST, ORDERINGS
from rollups.reading.series import LENGTHS
from rollups.rest.schemas import (
    NAMES_WANTED,
    AccuracyOf,
    AddedBody,
    ByNameBody,
    ClearedBody,
    CountBody,
    DeleteByNameBody,
    HealthBody,
    NewClearBody,
    PageBody,
    ReadinessBody,
    ReadingBody,
    ReadManyAnswerBody,
    ReadManyBody,
    SeriesBody,
    TotalBody,
    UnavailableBody,
)

READING = {
    "namespace": "demo",
    "name": "page/home",
    "count": 336_776,
    "as_of": AT,
    "pending": False,
    "accuracy": "eventual",
    "last_write_at": AT,
}
ACCURATE = {"count": 336_777, "as_of": AT, "pending": True, "accuracy": "accurate"}
COUNTER = (NAMESPACE, NAME)
BAD_ACCURACY = InvalidValue("accuracy", "exact", "one of eventual, accurate")
ADDED_AND_READ: dict[str, Json] = {
    "Added": ADDED,
    "A duplicate": {**ADDED, "duplicate": True},
    "With get=accurate": {**ADDED, **ACCURATE},
    "In a best-effort namespace": writes.PROMISE,
}
add, add_by_name = by_path_and_by_name(
    "add",
    summary="Add to a counter, and read it if you want",
    description=f"{writes.ADD} With `get`, which also needs the right to read, the answer"
    " includes the count after the add. An accurate count includes your own add.",
    parameters=[
        query("get", schema(AccuracyOf), "Also return the count, of this accuracy."),
        IDEMPOTENCY_KEY,
    ],
    body=NewEventBody,
    body_examples=writes.NEW_EVENTS,
    answer=AddedBody,
    sometimes=CountBody.__annotations__,
    answer_examples=ADDED_AND_READ,
    errors=[
        writes.BAD_NAME,
        InvalidValue("get", "exact", "one of eventual, accurate"),
        *writes.BAD_EVENT,
        NotAnchored(),
    ],
)
BAD_READ = [
    BAD_ACCURACY,
    NotForBestEffort("demo", "eventual or accurate reads"),
    AccessDenied("demo", "read"),
    writes.NO_NAMESPACE,
    writes.NO_CACHE,
    NotAnchored(),
]
read_many = operation(
    "read_many",
    tag="counters by name",
    summary="Read up to 1,000 counters at once",
    description="Reads all counters in one snapshot. The results have the order of the names."
    " A counter that does not exist has `found` false and the count 0. Without `accuracy` the"
    " namespace's counter type decides.",
    parameters=[NAMESPACE],
    body=ref(ReadManyBody),
    body_examples={
        "Two counters": {"names": ["page/home", "page/new"]},
        "Accurately": {"names": ["page/home"], "accuracy": "accurate"},
    },
    answer=ref(ReadManyAnswerBody),
    answer_examples={
        "One of them exists": {
            "results": [
                {"name": "page/home", "found": True, **ACCURATE, "last_write_at": AT},
                {
                    "name": "page/new",
                    "found": False,
                    **ACCURATE,
                    "count": 0,
                    "pending": False,
                    "last_write_at": None,
                },
            ]
        }
    },
    errors=[
        MissingValue("names", NAMES_WANTED),
        InvalidValue("names", "1,001 names", NAMES_WANTED),
        InvalidValue("names[3]", "", COUNTER_NAME_WANTED),
        *BAD_READ,
    ],
)
read = operation(
    "read",
    tag="counters",
    summary="Read a counter",
    description="Reads the counter in one snapshot. Without `accuracy` the namespace's counter"
    " type decides. A read of a pending counter also requests its fold.",
    parameters=[
        *COUNTER,
        query("accuracy", schema(AccuracyOf), "How fresh the count must be."),
    ],
    answer=ref(ReadingBody),
    answer_examples={
        "Eventual": READING,
        "Beyond 2⁵³: text": {**READING, "count": "9007199254740993"},
    },
    errors=[writes.BAD_NAME, *BAD_READ, writes.NO_COUNTER],
)
BAD_DELETE = [
    writes.BAD_NAME,
    NotConfirmed("page/home", "page"),
    CSRF,
    AccessDenied("demo", "manage"),
    writes.NO_NAMESPACE,
    writes.NO_COUNTER,
    writes.NO_CACHE,
]
DELETE = (
    "Permanently deletes the counter, in one transaction. Needs the right to manage."
)
delete = operation(
    "delete_counter",
    tag="counters",
    summary="Delete a counter with its events",
    description=DELETE,
    parameters=[*COUNTER, writes.confirm("counter")],
    status=HTTPStatus.NO_CONTENT,
    errors=BAD_DELETE,
)
delete_by_name = operation(
    "delete_counter_by_name",
    tag="counters by name",
    summary="Delete a counter with its events",
    description=DELETE + BY_NAME,
    parameters=[NAMESPACE],
    body=ref(DeleteByNameBody),
    body_examples={"Delete": {"name": "page/home", "confirm": "page/home"}},
    answer=ref(ByNameBody),
    answer_examples={"Deleted": {"name": "page/home"}},
    errors=[NO_NAME, *BAD_DELETE],
)
delete_by_query = operation(
    "delete_counter_by_query",
    tag="counters by name",
    summary="Delete a counter with its events",
    description=DELETE + IN_QUERY,
    parameters=[NAMESPACE, NAME_IN_QUERY, writes.confirm("counter")],
    answer=ref(ByNameBody),
    answer_examples={"Deleted": {"name": "page/home"}},
    errors=[NO_NAME, *BAD_DELETE],
)
CLEAR = (
    "Adds an event that subtracts the accurate count. No event is changed, and adds at the same"
    " time are kept. With a token the call is safe to retry. An add and a clear may use the same"
    " token."
)
NEW_CLEARS: dict[str, Json] = {"Clear": {}, "Safe to retry": {"token": TOKEN}}
CLEARED: dict[str, Json] = {
    "Cleared": {**ADDED, "count_before": 336_776},
    "A duplicate": {**ADDED, "duplicate": True, "count_before": None},
}
BAD_CLEAR = [
    writes.BAD_NAME,
    InvalidValue("token", 5, "text"),
    NotForBestEffort("demo", "tokens"),
    AccessDenied("demo", "write"),
    writes.NO_NAMESPACE,
    writes.NO_COUNTER,
    writes.OUTSIDE,
    writes.NO_CACHE,
    NotAnchored(),
]
clear, clear_by_name = by_path_and_by_name(
    "clear",
    summary="Set a counter to 0",
    description=CLEAR,
    parameters=[IDEMPOTENCY_KEY],
    body=NewClearBody,
    body_examples=NEW_CLEARS,
    answer=ClearedBody,
    answer_examples=CLEARED,
    errors=BAD_CLEAR,
)
list_counters = operation(
    "list_counters",
    tag="counters",
    summary="List a namespace's counters",
    description="Lists eventual counts in pages. Every page takes the same time."
    " `ordering=-count&limit=10` is the top ten. A list by count or by last write contains only"
    " counters that were folded at least once. Use the URLs in `next` and `previous`"
    " unchanged.",
    parameters=[
        NAMESPACE,
        query(
            "ordering",
            {"type": "string", "enum": ORDERINGS, "default": "name"},
            "Sort field; prefix `-` for descending order.",
        ),
        query("search", TEXT, "Only names that contain this text."),
        query(
            "limit",
            {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST,
                "default": DEFAULT_LIMIT,
            },
            "The maximum number of counters on a page.",
        ),
        query("cursor", TEXT, "From `next` or `previous`."),
    ],
    answer=ref(PageBody),
    answer_examples={"A page": {"results": [READING], "next": None, "previous": None}},
    errors=[
        InvalidValue("ordering", "size", f"one of {', '.join(ORDERINGS)}"),
        InvalidValue("limit", 501, f"a whole number from 1 to {MOST}"),
        InvalidValue("cursor", "x", "a cursor that a list with ordering=name answered"),
        NotForBestEffort("demo", "lists"),
        AccessDenied("demo", "read"),
        writes.NO_NAMESPACE,
    ],
)
SERIES = (
    "Sums the folded events by event time in UTC, from `from` up to, but not including, `to`."
    " If the span covers a part of a bucket, the whole bucket is included. The sum of all buckets"
    " is the eventual count. Without `from` you get the last 60 buckets."
)
INSTANT: Json = {"type": "string", "format": "date-time"}
FROM = query("from", INSTANT, "Start, with its UTC offset.")
SPAN = (
    query(
        "bucket",
        {"type": "string", "enum": [*LENGTHS]},
        "Not smaller than the namespace's bucket size, which is the default.",
    ),
    FROM,
    query("to", INSTANT, "End; now by default."),
    query(
        "gaps",
        {"type": "boolean", "default": False},
        "Also return empty buckets.",
    ),
)
TWO_HOURS: dict[str, Json] = {
    "Two hours of a day": {
        "bucket": "hour",
        "from": AT,
        "to": NEXT_DAY,
        "buckets": [
            {"at": AT, "delta": 17, "events": 12},
            {"at": "2026-01-01T07:00:00Z", "delta": -2, "events": 1},
        ],
    }
}
BAD_SPAN = [
    writes.BAD_NAME,
    InvalidValue("from", "yesterday", "an ISO 8601 instant with its UTC offset"),
    NotForBestEffort("demo", "series"),
    AccessDenied("demo", "read"),
    writes.NO_NAMESPACE,
    writes.NO_COUNTER,
]
BAD_BUCKET = InvalidValue("bucket", "week", "one of minute, hour, day")
series, series_by_name = by_path_and_by_name(
    "series",
    summary="Read a counter's sums per minute, hour or day",
    description=SERIES,
    parameters=SPAN,
    answer=SeriesBody,
    answer_examples=TWO_HOURS,
    errors=[BAD_BUCKET, *BAD_SPAN],
)
total = operation(
    "total_by_name",
    tag="counters by name",
    summary="Read a counter's sum in a span of time",
    description="Sums the folded events from `from` up to, but not including, `to`. Without"
    " `from` or `to` the span has no start or no end. If the span covers a part of a bucket,"
    " the whole bucket is included." + IN_QUERY,
    parameters=[
        NAMESPACE,
        NAME_IN_QUERY,
        FROM,
        query("to", INSTANT, "End."),
    ],
    answer=ref(TotalBody),
    answer_examples={
        "A day": {
            "name": "page/home",
            "from": AT,
            "to": NEXT_DAY,
            "delta": 15,
            "events": 13,
            "as_of": NEXT_DAY,
            "pending": False,
        }
    },
    errors=[NO_NAME, *BAD_SPAN],
)


def _open_call(name: str, summary: str, answers: dict[str, Any]) -> Json:
    """Describe a call that needs no token; a plain Django view answers it."""
    return {
        "get": {
            "operationId": name,
            "tags": ["health"],
            "summary": summary,
            "security": [{}],
            "responses": {
                status: {
                    "description": HTTPStatus(int(status)).phrase,
                    "content": {"application/json": {"schema": schema}},
                }
                for status, schema in answers.items()
            },
        }
    }


HEALTH = {
    "/healthz": _open_call(
        "healthz", "Is this process alive?", {"200": ref(HealthBody)}
    ),
    "/readyz": _open_call(
        "readyz",
        "Does the database answer, and what is the lag?",
        {"200": ref(ReadinessBody), "503": ref(UnavailableBody)},
    ),
}
