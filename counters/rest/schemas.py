"""JSON bodies of the write API, and OpenAPI schemas made from them.

Each body is a TypedDict. mypy checks the code that builds it, and `ref` derives its schema.
Commands print the same bodies, so this module works without Django REST framework.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from types import NoneType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    TypedDict,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from counters.errors import stamp
from counters.json_values import EXACT_IN_JAVASCRIPT
from counters.models import (
    NAMESPACE_PATTERN,
    BucketSize,
    CounterType,
    Namespace,
)
from counters.namespaces.settings import MOST_SECONDS
from counters.recording.batch import BATCH_EVENTS
from counters.recording.duplicates import Recorded
from counters.recording.names import COUNTER_NAME_LENGTH
from counters.recording.tokens import TOKEN_LENGTH
from counters.recording.validation import DELTA_MAX, DELTA_MIN

Json = dict[str, Any]
# The schemas that `ref` has made, by name.
COMPONENTS: dict[str, Json] = {}
NO_PROMISE = "best-effort: not durable, may be lost, counts again when retried"


class Doc:
    """What a schema says about a field beyond its type."""

    def __init__(self, description: str = "", **rules: Any) -> None:
        self.rules: Json = {"description": description} if description else {}
        self.rules |= rules


Instant = Annotated[str, Doc(format="date-time")]
Exact = Annotated[
    int | str,
    Doc(
        "A whole number. Beyond ±(2⁵³-1) it is sent as text, so that JavaScript does not"
        " round it.",
        oneOf=[
            {
                "type": "integer",
                "minimum": -EXACT_IN_JAVASCRIPT,
                "maximum": EXACT_IN_JAVASCRIPT,
            },
            {"type": "string", "pattern": "^-?[0-9]{16,}$"},
        ],
    ),
]
Delta = Annotated[
    int | str,
    Doc(
        "The number to add; negative to subtract. Beyond ±(2⁵³-1) the digits may be sent as"
        " text, for JavaScript.",
        oneOf=[
            {
                "type": "integer",
                "format": "int64",
                "minimum": DELTA_MIN,
                "maximum": DELTA_MAX,
            },
            {"type": "string", "pattern": "^-?[1-9][0-9]{15,18}$"},
        ],
    ),
]
CounterName = Annotated[
    str,
    Doc(
        "Any text of visible characters, without a space at either end. It is stored in"
        " Unicode normalization form C.",
        minLength=1,
        maxLength=COUNTER_NAME_LENGTH,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]+$",
    ),
]
NewToken = Annotated[
    str | None,
    Doc(
        "Idempotency token, best a UUIDv7. Each counter counts it once. Not only spaces.",
        minLength=1,
        maxLength=TOKEN_LENGTH,
    ),
]
GenerationTime = Annotated[
    str | None,
    Doc(
        "When the event happened, with its UTC offset. It overrides the time in a UUIDv7."
        " Send it again with each retry.",
        format="date-time",
    ),
]
Token = Annotated[
    str | None,
    Doc("Your token. Null if you sent none."),
]
NamespaceName = Annotated[
    str,
    Doc(
        "Letters, digits, dots, dashes and underscores.",
        pattern=f"^{NAMESPACE_PATTERN}$",
    ),
]


class NewEventBody(TypedDict):
    """An add."""

    delta: Delta
    token: NotRequired[NewToken]
    generation_time: NotRequired[GenerationTime]


class PromiseBody(TypedDict, total=False):
    """What an answer of a best-effort namespace also says."""

    promise: Annotated[
        str, Doc("Only in best-effort namespaces: what the service does not promise.")
    ]


class RecordedBody(PromiseBody):
    """The answer to an add."""

    token: Token
    event_time: Annotated[
        Instant, Doc("The event's time; for a duplicate, the first event's time.")
    ]
    duplicate: Annotated[bool, Doc("True if the token was counted before.")]


class BatchEventBody(NewEventBody):
    """One event of a batch."""

    namespace: Annotated[str, Doc("The namespace's name.")]
    name: CounterName


class BatchBody(TypedDict):
    """A batch of events."""

    events: Annotated[list[BatchEventBody], Doc(maxItems=BATCH_EVENTS)]


class BatchAnswerBody(TypedDict):
    """The answer to a batch."""

    results: Annotated[
        list[RecordedBody], Doc("One for each event, in the order of the request.")
    ]


class NamespaceBody(TypedDict):
    """A namespace with its settings."""

    name: NamespaceName
    description: Annotated[str, Doc("Free text for people.")]
    counter_type: Annotated[
        str,
        Doc(
            "The default accuracy of reads. A namespace cannot change to or from best-effort.",
            enum=CounterType.values,
        ),
    ]
    accept_past_seconds: Annotated[
        int,
        Doc(
            "Maximum age of a new event, and so the time in which retries are safe.",
            minimum=1,
            maximum=MOST_SECONDS,
        ),
    ]
    accept_future_seconds: Annotated[
        int,
        Doc("How far a client's clock may be ahead.", minimum=0, maximum=MOST_SECONDS),
    ]
    retention_seconds: Annotated[
        int,
        Doc(
            "How long single events are kept; at least accept_past_seconds.",
            minimum=1,
            maximum=MOST_SECONDS,
        ),
    ]
    bucket_size: Annotated[
        str, Doc("The smallest buckets of series.", enum=BucketSize.values)
    ]
    created_at: Instant


class NamespacesBody(TypedDict):
    """A page of namespaces."""

    results: list[NamespaceBody]
    next: Annotated[str | None, Doc("The URL of the next page; null on the last page.")]


class _Problem(TypedDict):
    type: Annotated[str, Doc(pattern="^urn:counters:problem:[a-z-]+$")]
    title: str
    status: Annotated[int, Doc(minimum=400, maximum=599)]
    code: Annotated[str, Doc("Stable, for programs.", pattern="^[a-z-]+$")]
    detail: Annotated[str, Doc("Names the wrong value and says what would be right.")]


class ProblemBody(_Problem, total=False):
    """An error."""

    field: Annotated[str, Doc("The wrong field.")]
    index: Annotated[int, Doc("The wrong event's position in the batch, from 0.")]
    namespace: str
    name: str
    right: Annotated[str, Doc("The right that is missing.")]
    token: str
    first_delta: Exact
    delta: Exact
    event_time: Instant
    accepted_from: Annotated[Instant, Doc("Start of the accept window.")]
    accepted_until: Annotated[Instant, Doc("End of the accept window.")]
    events: Annotated[int, Doc("How many events were sent, or were deleted.")]
    counters: Annotated[int, Doc("How many counters this call deleted.")]
    most: Annotated[int, Doc("The maximum number.")]


def promise_body(*, best_effort: bool) -> PromiseBody:
    return {"promise": NO_PROMISE} if best_effort else {}


def recorded_body(recorded: Recorded) -> RecordedBody:
    return {
        "token": recorded.token,
        "event_time": stamp(recorded.event_time),
        "duplicate": recorded.duplicate,
        **promise_body(best_effort=recorded.counter_id == 0),
    }


def namespace_body(namespace: Namespace) -> NamespaceBody:
    return {
        "name": namespace.name,
        "description": namespace.description,
        "counter_type": namespace.counter_type,
        "accept_past_seconds": round(namespace.accept_past.total_seconds()),
        "accept_future_seconds": round(namespace.accept_future.total_seconds()),
        "retention_seconds": round(namespace.retention.total_seconds()),
        "bucket_size": namespace.bucket_size,
        "created_at": stamp(namespace.created_at),
    }


@cache
def fields_of(body: type) -> frozenset[str]:
    """Return the names of a body's fields; asked for each add and each event of a batch."""
    return frozenset(body.__annotations__)


def ref(
    body: Any,
    component: str | None = None,
    *,
    named: bool = False,
    without: Collection[str] = (),
    optional: Collection[str] = (),
) -> Json:
    """Make a body's schema a component, and return a reference to it.

    `named` adds the counter's name. `without` and `optional` vary the fields of the body.
    """
    name = (component or body.__name__.removesuffix("Body")) + "ByName" * named
    if name not in COMPONENTS:
        hints = get_type_hints(body, include_extras=True)
        if named:
            hints = {"name": CounterName, **hints}
        hints = {field: hint for field, hint in hints.items() if field not in without}
        required = [
            field
            for field, hint in hints.items()
            if get_origin(hint) is not NotRequired
            and field not in {*optional, *body.__optional_keys__}
        ]
        COMPONENTS[name] = {
            "type": "object",
            "properties": {field: schema(hint) for field, hint in hints.items()},
            "additionalProperties": False,
            # OpenAPI 3.0 forbids an empty list.
            **({"required": required} if required else {}),
        }
    return {"$ref": f"#/components/schemas/{name}"}


_TYPES = {str: "string", int: "integer", bool: "boolean", float: "number"}


def schema(hint: Any) -> Json:
    """Return the OpenAPI 3.0 schema of a type that a body uses."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is NotRequired:
        return schema(arguments[0])
    if origin is Annotated:
        rules: Json = {}
        for one in hint.__metadata__:
            rules |= one.rules
        return rules if "oneOf" in rules else {**schema(arguments[0]), **rules}
    if NoneType in arguments:
        [known] = [one for one in arguments if one is not NoneType]
        found = schema(known)
        # OpenAPI 3.0 requires a type, or a schema around it, with `nullable`.
        if "oneOf" in found:
            found = {"allOf": [found]}
        if "enum" in found:
            found = {**found, "enum": [*found["enum"], None]}
        return {**found, "nullable": True}
    if origin is Literal:
        return {"type": "string", "enum": [*arguments]}
    if origin is list:
        return {"type": "array", "items": schema(arguments[0])}
    return ref(hint) if is_typeddict(hint) else {"type": _TYPES[hint]}
