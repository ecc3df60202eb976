"""The read API's calls, as `GET /api/schema` describes them."""

from __future__ import annotations

from http import HTTPStatus

from counters.api import described as writes
from counters.api.described import (
    ADDED,
    AT,
    COUNTER,
    IDEMPOTENCY_KEY,
    NAMESPACE,
    NEXT_DAY,
    TOKEN,
)
from counters.api.schema import CSRF, Json, operation, query, ref
from counters.errors import (
    AccessDenied,
    InvalidValue,
    NotAnchored,
    NotConfirmed,
    NotForBestEffort,
)
from rollups.api.bodies import ACCURACY
from rollups.listing import DEFAULT_LIMIT, MOST, ORDERINGS
from rollups.series import LENGTHS

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
BAD_ACCURACY = InvalidValue("accuracy", "exact", "one of eventual, accurate")
add_and_get = operation(
    "add",
    tag="counters",
    summary="Add to a counter, and read it where you ask for it",
    description=writes.ADD
    + " With `get`, which needs the right to read too, the answer"
    " also holds the count after the add; it holds your own add if it is accurate.",
    parameters=[
        *COUNTER,
        query("get", ACCURACY, "Also return the count, of this accuracy."),
        IDEMPOTENCY_KEY,
    ],
    body=ref("NewEvent"),
    body_examples=writes.NEW_EVENTS,
    answer=ref("Added"),
    answer_examples={
        "Added": ADDED,
        "A repeat": {**ADDED, "duplicate": True},
        "With get=accurate": {**ADDED, **ACCURATE},
        "In a best-effort namespace": writes.PROMISE,
    },
    errors=[
        writes.BAD_NAME,
        InvalidValue("get", "exact", "one of eventual, accurate"),
        *writes.BAD_EVENT,
        NotAnchored(),
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
    errors=[
        writes.BAD_NAME,
        BAD_ACCURACY,
        NotForBestEffort("demo", "eventual or accurate reads"),
        AccessDenied("demo", "read"),
        writes.NO_NAMESPACE,
        writes.NO_COUNTER,
        writes.NO_CACHE,
        NotAnchored(),
    ],
)
delete = operation(
    "delete_counter",
    tag="counters",
    summary="Delete a counter with its events",
    description="For good, in one transaction. Needs the right to manage.",
    parameters=[*COUNTER, writes.confirm("counter")],
    status=HTTPStatus.NO_CONTENT,
    errors=[
        writes.BAD_NAME,
        NotConfirmed("page/home", "page"),
        CSRF,
        AccessDenied("demo", "manage"),
        writes.NO_NAMESPACE,
        writes.NO_COUNTER,
        writes.NO_CACHE,
    ],
)
clear = operation(
    "clear",
    tag="counters",
    summary="Set a counter to 0",
    description="Takes the accurate count off by an event of its own: the log stays"
    " append-only, and adds at the same time survive. With a token it is safe to retry;"
    " a clear's tokens are apart from those of adds.",
    parameters=[*COUNTER, IDEMPOTENCY_KEY],
    body=ref("NewClear"),
    body_examples={"Clear": {}, "Safe to retry": {"token": TOKEN}},
    answer=ref("Cleared"),
    answer_examples={
        "Cleared": {**ADDED, "count_before": 336_776},
        "A repeat": {**ADDED, "duplicate": True, "count_before": None},
    },
    errors=[
        writes.BAD_NAME,
        InvalidValue("token", 5, "text"),
        NotForBestEffort("demo", "tokens"),
        AccessDenied("demo", "write"),
        writes.NO_NAMESPACE,
        writes.NO_COUNTER,
        writes.OUTSIDE,
        writes.NO_CACHE,
        NotAnchored(),
    ],
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
series = operation(
    "series",
    tag="counters",
    summary="Read a counter's sums per minute, hour or day",
    description="Folded events by their event time, UTC; `from` is in, `to` is not. A span"
    " that cuts a bucket is widened to the whole of it. The sum over all buckets is the"
    " eventual count. Without `from`: the last 60 buckets.",
    parameters=[
        *COUNTER,
        query(
            "bucket",
            {"type": "string", "enum": [*LENGTHS]},
            "At least the namespace's bucket size, which is the default.",
        ),
        query("from", {"type": "string", "format": "date-time"}, "Start."),
        query("to", {"type": "string", "format": "date-time"}, "End; now by default."),
        query(
            "gaps",
            {"type": "boolean", "default": False},
            "Also answer the buckets in which nothing happened.",
        ),
    ],
    answer=ref("Series"),
    answer_examples={
        "Two hours of a day": {
            "bucket": "hour",
            "from": AT,
            "to": NEXT_DAY,
            "buckets": [
                {"at": AT, "delta": 17, "events": 12},
                {"at": "2026-01-01T07:00:00Z", "delta": -2, "events": 1},
            ],
        }
    },
    errors=[
        writes.BAD_NAME,
        InvalidValue("bucket", "week", "one of minute, hour, day"),
        InvalidValue("from", "yesterday", "an ISO 8601 instant with its UTC offset"),
        NotForBestEffort("demo", "series"),
        AccessDenied("demo", "read"),
        writes.NO_NAMESPACE,
        writes.NO_COUNTER,
    ],
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
