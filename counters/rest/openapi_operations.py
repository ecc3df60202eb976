"""The write API's calls, as `GET /api/schema` describes them."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

from drf_spectacular.utils import OpenApiParameter

from counters.errors import (
    AccessDenied,
    AlreadyExists,
    BatchRefused,
    BatchTooLarge,
    CounterNotFound,
    DeletionUnfinished,
    InvalidValue,
    MissingValue,
    NamespaceNotFound,
    NoSharedCache,
    NotConfirmed,
    NotForBestEffort,
    OutsideAcceptWindow,
    TokenConflict,
)
from counters.namespaces.settings import NAME_WANTED
from counters.recording.batch import BATCH_EVENTS
from counters.recording.names import WANTED as COUNTER_NAME_WANTED
from counters.recording.tokens import TOKEN_LENGTH
from counters.recording.validation import DELTA_WANTED
from counters.rest.base_view import NO_HEADER_WANTED
from counters.rest.openapi import (
    CSRF,
    NAMESPACE,
    TEXT,
    Failure,
    header,
    operation,
    query,
)
from counters.rest.schemas import (
    NO_PROMISE,
    BatchAnswerBody,
    BatchBody,
    Json,
    NamespaceBody,
    NamespacesBody,
    fields_of,
    ref,
)

# A UUIDv7 of the instant below.
TOKEN = "019b76da-a800-7000-8000-0123456789ab"  # noqa: S105
AT, NEXT_DAY = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"

IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": TOKEN_LENGTH},
    "The token, instead of the field `token`. If both are sent they must agree.",
)


def confirm(what: str) -> OpenApiParameter:
    return query("confirm", TEXT, f"Exactly the {what}'s name.", required=True)


NO_NAMESPACE = NamespaceNotFound("demo")
NO_COUNTER = CounterNotFound("demo", "page/home")
BAD_NAME = InvalidValue("name", "", COUNTER_NAME_WANTED)
NO_CACHE = NoSharedCache("demo", "it did not answer (ConnectionError)")
OUTSIDE = OutsideAcceptWindow(
    datetime(2025, 1, 1, tzinfo=UTC),
    datetime(2025, 12, 31, tzinfo=UTC),
    datetime(2026, 1, 1, 0, 5, tzinfo=UTC),
)
CONFLICT = TokenConflict(TOKEN, kept=1, offered=2)
BAD_EVENT: tuple[Failure, ...] = (
    InvalidValue("delta", "three", DELTA_WANTED),
    MissingValue("delta", DELTA_WANTED),
    InvalidValue("body", "tokn", "a field of this call: delta, generation_time, token"),
    NotForBestEffort("demo", "tokens and no event times"),
    NO_NAMESPACE,
    AccessDenied("demo", "write"),
    CONFLICT,
    OUTSIDE,
    NO_CACHE,
)


ADDED: Json = {"token": TOKEN, "event_time": AT, "duplicate": False}
NEW_EVENTS: dict[str, Json] = {
    "Add 1": {"delta": 1},
    "With a UUIDv7, safe to retry": {"delta": -250, "token": TOKEN},
    "Any token, with its time": {
        "delta": 3,
        "token": "order-17",
        "generation_time": AT,
    },
}
ADD = (
    "Adds `delta` to the counter; the first add creates it. The answer comes when the event"
    " is durable. If you get no answer, send the same token again: it counts once, as long as"
    " the namespace's accept window lasts (24 hours by default). Without a token a"
    " retry may count twice, and the answer's `token` is null."
)
add_batch = operation(
    "add_batch",
    tag="events",
    summary="Add many events at once",
    description=f"Adds up to {BATCH_EVENTS:,} events in one transaction: all or none. If one"
    " event is wrong the whole batch is refused, and `index` says which event. The answer has"
    " one result for each event, in order.",
    body=ref(BatchBody),
    body_examples={
        "Two counters": {
            "events": [
                {"namespace": "demo", "name": "page/home", "delta": 1, "token": TOKEN},
                {"namespace": "demo", "name": "visits", "delta": 1, "token": TOKEN},
            ]
        }
    },
    answer=ref(BatchAnswerBody),
    answer_examples={"Added": {"results": [ADDED, ADDED]}},
    errors=[
        BatchRefused(1, InvalidValue("delta", 0.5, DELTA_WANTED)),
        InvalidValue("Idempotency-Key", "order-17", NO_HEADER_WANTED),
        BatchRefused(0, MissingValue("namespace", "the name of a namespace")),
        BatchRefused(0, NotForBestEffort("demo", "batches")),
        BatchRefused(0, AccessDenied("demo", "write")),
        BatchRefused(2, NO_NAMESPACE),
        BatchRefused(7, CONFLICT),
        BatchRefused(0, OUTSIDE),
        BatchTooLarge(10_001, BATCH_EVENTS),
    ],
)

MOST_NAMESPACES = 500
NAMESPACE_EXAMPLE: Json = {
    "name": "demo",
    "description": "For a first try of the service.",
    "counter_type": "eventual",
    "accept_past_seconds": 86_400,
    "accept_future_seconds": 300,
    "retention_seconds": 2_592_000,
    "bucket_size": "minute",
    "created_at": AT,
}
BAD_SETTINGS: tuple[Failure, ...] = (
    InvalidValue("counter_type", "exact", "one of eventual, accurate, best-effort"),
    InvalidValue("retention_seconds", 60, "at least accept_past_seconds"),
)
list_namespaces = operation(
    "list_namespaces",
    tag="namespaces",
    summary="List namespaces",
    description="Lists the namespaces in which you have any right, ordered by name. With"
    " `limit` the list comes in pages: `next` is the URL of the next page.",
    parameters=[
        query(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": MOST_NAMESPACES},
            "The maximum number of namespaces on a page.",
        ),
        query("cursor", TEXT, "From `next`."),
    ],
    answer=ref(NamespacesBody),
    answer_examples={"One": {"results": [NAMESPACE_EXAMPLE], "next": None}},
    errors=[
        InvalidValue("limit", 501, f"a whole number from 1 to {MOST_NAMESPACES}"),
        InvalidValue("cursor", "two words", "a cursor; take it from `next`"),
    ],
)
create_namespace = operation(
    "create_namespace",
    tag="namespaces",
    summary="Create a namespace",
    description="Needs the permission to add namespaces. You get all rights in the new namespace.",
    body=ref(
        NamespaceBody,
        "NewNamespace",
        without=["created_at"],
        optional=fields_of(NamespaceBody) - {"name"},
    ),
    body_examples={
        "With the defaults": {"name": "shop"},
        "Accurate, 7 days for retries": {
            "name": "stock",
            "counter_type": "accurate",
            "accept_past_seconds": 604_800,
        },
    },
    answer=ref(NamespaceBody),
    answer_examples={"Created": NAMESPACE_EXAMPLE},
    status=HTTPStatus.CREATED,
    errors=[
        MissingValue("name", NAME_WANTED),
        InvalidValue("name", "two words", NAME_WANTED),
        *BAD_SETTINGS,
        AccessDenied.to_create(),
        AlreadyExists("name", "demo"),
    ],
)
read_namespace = operation(
    "read_namespace",
    tag="namespaces",
    summary="Read a namespace's settings",
    description="The accept window (`accept_past_seconds`) says how long retries are safe.",
    parameters=[NAMESPACE],
    answer=ref(NamespaceBody),
    answer_examples={"Found": NAMESPACE_EXAMPLE},
    errors=[NO_NAMESPACE],
)
change_namespace = operation(
    "change_namespace",
    tag="namespaces",
    summary="Change a namespace's settings",
    description="Changes only the fields that you send; all processes use the new values within"
    " seconds. The name cannot change. Needs the right to manage.",
    parameters=[NAMESPACE],
    body=ref(
        NamespaceBody,
        "NamespaceChange",
        without=["created_at", "name"],
        optional=fields_of(NamespaceBody),
    ),
    body_examples={"Retries for a week": {"accept_past_seconds": 604_800}},
    answer=ref(NamespaceBody),
    answer_examples={"Changed": {**NAMESPACE_EXAMPLE, "accept_past_seconds": 604_800}},
    errors=[
        *BAD_SETTINGS,
        InvalidValue("name", "other", "'demo': a name cannot be changed"),
        NO_NAMESPACE,
        AccessDenied("demo", "manage"),
    ],
)
delete_namespace = operation(
    "delete_namespace",
    tag="namespaces",
    summary="Delete a namespace with everything in it",
    description="Permanently deletes counters, events, rollups and series, in batches. A large"
    " namespace needs several calls: a 503 says how much was deleted, and the next call"
    " continues. Needs the right to manage.",
    parameters=[NAMESPACE, confirm("namespace")],
    status=HTTPStatus.NO_CONTENT,
    errors=[
        NotConfirmed("demo", None),
        CSRF,
        NO_NAMESPACE,
        AccessDenied("demo", "manage"),
        DeletionUnfinished("demo", 200_000, 5_000_000),
    ],
)
PROMISE = {"token": None, "event_time": AT, "duplicate": False, "promise": NO_PROMISE}
