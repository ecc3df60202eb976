"""The read API's calls, as `GET /api/schema` describes them."""

from __future__ import annotations

from http import HTTPStatus

from counters.errors import (
    AccessDenied,
    InvalidValue,
    MissingValue,
    NotAnchored,
    NotConfirmed,
    NotForBestEffort,
)
from counters.recording.names import WANTED as COUNTER_NAME_WANTED
from counters.rest import descriptions as writes
from counters.rest.descriptions import (
    ADDED,
    AT,
    BY_NAME,
    COUNTER,
    IDEMPOTENCY_KEY,
    NAMESPACE,
    NEXT_DAY,
    NO_NAME,
    TOKEN,
)
from counters.rest.openapi import CSRF, Json, operation, query, ref
from counters.rest.schemas import COUNTER_NAME
from rollups.reading.listing import DEFAULT_LIMIT, MOST, ORDERINGS
from rollups.reading.series import LENGTHS
from rollups.rest.schemas import ACCURACY, NAMES_WANTED

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
IN_QUERY = (
    " The counter's name is in the query, and the answer repeats it. So nothing depends on"
    " how a proxy treats an encoded path."
)
NAME_IN_QUERY = query("name", COUNTER_NAME, "The counter's name.", required=True)
BAD_ACCURACY = InvalidValue("accuracy", "exact", "one of eventual, accurate")
ADD_AND_GET = (
    writes.ADD + " With `get`, which needs the right to read too, the answer"
    " also holds the count after the add. An accurate count includes your own add."
)


def _named(examples: dict[str, Json]) -> dict[str, Json]:
    """Return the examples in the form of the calls with the name in the body."""
    return {title: {"name": "page/home", **body} for title, body in examples.items()}


ADDED_AND_READ: dict[str, Json] = {
    "Added": ADDED,
    "A duplicate": {**ADDED, "duplicate": True},
    "With get=accurate": {**ADDED, **ACCURATE},
    "In a best-effort namespace": writes.PROMISE,
}
GET = query("get", ACCURACY, "Also return the count, of this accuracy.")
BAD_ADD = [
    writes.BAD_NAME,
    InvalidValue("get", "exact", "one of eventual, accurate"),
    *writes.BAD_EVENT,
    NotAnchored(),
]
add_and_get = operation(
    "add",
    tag="counters",
    summary="Add to a counter, and read it where you ask for it",
    description=ADD_AND_GET,
    parameters=[*COUNTER, GET, IDEMPOTENCY_KEY],
    body=ref("NewEvent"),
    body_examples=writes.NEW_EVENTS,
    answer=ref("Added"),
    answer_examples=ADDED_AND_READ,
    errors=BAD_ADD,
)
add_and_get_by_name = operation(
    "add_by_name",
    tag="counters by name",
    summary="Add to a counter, and read it where you ask for it",
    description=ADD_AND_GET + BY_NAME,
    parameters=[NAMESPACE, GET, IDEMPOTENCY_KEY],
    body=ref("NewEventByName"),
    body_examples=writes.NEW_EVENTS_BY_NAME,
    answer=ref("AddedByName"),
    answer_examples=_named(ADDED_AND_READ),
    errors=[NO_NAME, *BAD_ADD],
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
    description="Reads all counters in one snapshot. The results are in the order of the"
    " names. A counter that does not exist has `found` false and the count 0. Without"
    " `accuracy` the namespace's counter type decides.",
    parameters=[NAMESPACE],
    body=ref("ReadMany"),
    body_examples={
        "Two counters": {"names": ["page/home", "page/new"]},
        "Accurately": {"names": ["page/home"], "accuracy": "accurate"},
    },
    answer=ref("ReadManyAnswer"),
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
    description="One statement, one snapshot. Without `accuracy` the namespace's counter"
    " type decides. Reading a pending counter asks for its fold once more.",
    parameters=[*COUNTER, query("accuracy", ACCURACY, "How fresh it must be.")],
    answer=ref("Reading"),
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
DELETE = "Deletes it for good, in one transaction. Needs the right to manage."
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
    body=ref("DeleteByName"),
    body_examples={"Delete": {"name": "page/home", "confirm": "page/home"}},
    answer=ref("ByName"),
    answer_examples={"Deleted": {"name": "page/home"}},
    errors=[NO_NAME, *BAD_DELETE],
)
delete_by_query = operation(
    "delete_counter_by_query",
    tag="counters by name",
    summary="Delete a counter with its events",
    description=DELETE + IN_QUERY,
    parameters=[NAMESPACE, NAME_IN_QUERY, writes.confirm("counter")],
    answer=ref("ByName"),
    answer_examples={"Deleted": {"name": "page/home"}},
    errors=[NO_NAME, *BAD_DELETE],
)
CLEAR = (
    "Adds an event that takes off the accurate count. The log of events stays append-only,"
    " and adds at the same time survive. With a token it is safe to retry; the tokens of"
    " clears and of adds are separate."
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
clear = operation(
    "clear",
    tag="counters",
    summary="Set a counter to 0",
    description=CLEAR,
    parameters=[*COUNTER, IDEMPOTENCY_KEY],
    body=ref("NewClear"),
    body_examples=NEW_CLEARS,
    answer=ref("Cleared"),
    answer_examples=CLEARED,
    errors=BAD_CLEAR,
)
clear_by_name = operation(
    "clear_by_name",
    tag="counters by name",
    summary="Set a counter to 0",
    description=CLEAR + BY_NAME,
    parameters=[NAMESPACE, IDEMPOTENCY_KEY],
    body=ref("NewClearByName"),
    body_examples=_named(NEW_CLEARS),
    answer=ref("ClearedByName"),
    answer_examples=_named(CLEARED),
    errors=[NO_NAME, *BAD_CLEAR],
)
list_counters = operation(
    "list_counters",
    tag="counters",
    summary="List a namespace's counters",
    description="Eventual counts, in pages that cost the same however deep they lie."
    " `ordering=-count&limit=10` is the top ten. By count or last write a counter is"
    " listed once it was folded. Follow `next` and `previous` as they are.",
    parameters=[
        NAMESPACE,
        query(
            "ordering",
            {"type": "string", "enum": ORDERINGS, "default": "name"},
            "By what; a minus turns it round.",
        ),
        query("search", {"type": "string"}, "Keep names that contain this text."),
        query(
            "limit",
            {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST,
                "default": DEFAULT_LIMIT,
            },
            "The most counters on a page.",
        ),
        query("cursor", {"type": "string"}, "From `next` or `previous`."),
    ],
    answer=ref("Page"),
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
    "Folded events by their event time in UTC, from `from` up to, but not including, `to`."
    " A span that cuts a bucket is widened to the whole bucket. The sum over all buckets is"
    " the eventual count. Without `from`: the last 60 buckets."
)
FROM = query("from", {"type": "string", "format": "date-time"}, "Start.")
SPAN = (
    query(
        "bucket",
        {"type": "string", "enum": [*LENGTHS]},
        "At least the namespace's bucket size, which is the default.",
    ),
    FROM,
    query("to", {"type": "string", "format": "date-time"}, "End; now by default."),
    query(
        "gaps",
        {"type": "boolean", "default": False},
        "Also answer the buckets in which nothing happened.",
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
series = operation(
    "series",
    tag="counters",
    summary="Read a counter's sums per minute, hour or day",
    description=SERIES,
    parameters=[*COUNTER, *SPAN],
    answer=ref("Series"),
    answer_examples=TWO_HOURS,
    errors=[BAD_BUCKET, *BAD_SPAN],
)
series_by_name = operation(
    "series_by_name",
    tag="counters by name",
    summary="Read a counter's sums per minute, hour or day",
    description=SERIES + IN_QUERY,
    parameters=[NAMESPACE, NAME_IN_QUERY, *SPAN],
    answer=ref("SeriesByName"),
    answer_examples=_named(TWO_HOURS),
    errors=[NO_NAME, BAD_BUCKET, *BAD_SPAN],
)
total = operation(
    "total_by_name",
    tag="counters by name",
    summary="Read a counter's sum in a span of time",
    description="The sum of the folded events from `from` up to, but not including, `to`."
    " Without `from` or `to` the span is open at that end. A span that cuts a bucket is"
    " widened to the whole bucket." + IN_QUERY,
    parameters=[
        NAMESPACE,
        NAME_IN_QUERY,
        FROM,
        query("to", {"type": "string", "format": "date-time"}, "End."),
    ],
    answer=ref("Total"),
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


def _open_call(name: str, summary: str, answers: dict[str, Json]) -> Json:
    """Return a call that needs no token, answered by a plain Django view."""
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
        "healthz", "Does this process live?", {"200": ref("Health")}
    ),
    "/readyz": _open_call(
        "readyz",
        "Does the database answer, and how far does folding lag?",
        {"200": ref("Readiness"), "503": ref("Unavailable")},
    ),
}
