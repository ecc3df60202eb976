"""The write API's bodies, as `GET /api/schema` describes them."""

from __future__ import annotations

from counters.json_values import EXACT_IN_JAVASCRIPT
from counters.models import (
    COUNTER_NAME_LENGTH,
    NAMESPACE_PATTERN,
    BucketSize,
    CounterType,
)
from counters.namespaces.settings import TEN_YEARS_SECONDS
from counters.recording.batch import BATCH_EVENTS
from counters.recording.tokens import TOKEN_LENGTH
from counters.recording.validation import DELTA_MAX, DELTA_MIN
from counters.rest.openapi import Json, instant, obj, ref, text, whole, yes_or_no

PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]+$"

EXACT: Json = {
    "description": "A whole number. Beyond ±(2⁵³-1) the same digits as text, so that"
    " JavaScript rounds nothing in silence.",
    "oneOf": [
        {
            "type": "integer",
            "minimum": -EXACT_IN_JAVASCRIPT,
            "maximum": EXACT_IN_JAVASCRIPT,
        },
        {"type": "string", "pattern": "^-?[0-9]{16,}$"},
    ],
}
COUNTER_NAME = text(
    "Any text of visible characters, without a space at either end. It is kept in Unicode's"
    " form NFC.",
    minLength=1,
    maxLength=COUNTER_NAME_LENGTH,
    pattern=PRINTABLE,
)
DELTA: Json = {
    "description": "What to add; negative to take off. Beyond ±(2⁵³-1) the digits may come"
    " as text, for JavaScript.",
    "oneOf": [
        whole(format="int64", minimum=DELTA_MIN, maximum=DELTA_MAX),
        text(pattern="^-?[1-9][0-9]{15,18}$"),
    ],
}
TOKEN_GIVEN = {
    **text(
        "Idempotency token, best a UUIDv7. The same token counts once a counter.",
        minLength=1,
        maxLength=TOKEN_LENGTH,
    ),
    "nullable": True,
}
GENERATION_TIME = {
    **instant(
        "When the event was made, with its UTC offset; it overrides the time in a UUIDv7."
        " Repeat it with the token."
    ),
    "nullable": True,
}
NAMESPACE_NAME = text(
    "Letters, digits, dots, dashes and underscores.", pattern=f"^{NAMESPACE_PATTERN}$"
)
NOT_FOR_BEST_EFFORT = "Null in a best-effort namespace."
RECORDED: dict[str, Json] = {
    "token": {
        **text(f"Yours, or the one that the server made. {NOT_FOR_BEST_EFFORT}"),
        "nullable": True,
    },
    "event_time": instant("The event's time; for a duplicate, the first event's."),
    "duplicate": yes_or_no("True where the token was counted before."),
    "promise": text("In best-effort namespaces only: what is not promised."),
}
SETTINGS: dict[str, Json] = {
    "description": text("For people."),
    "counter_type": text(
        "What reads promise. To and from best-effort it cannot be changed.",
        enum=CounterType.values,
    ),
    "accept_past_seconds": whole(
        "How old an event may be: the horizon for retries. Above 0.",
        minimum=1,
        maximum=TEN_YEARS_SECONDS * 10,
    ),
    "accept_future_seconds": whole(
        "How far ahead a client's clock may run.",
        minimum=0,
        maximum=TEN_YEARS_SECONDS * 10,
    ),
    "retention_seconds": whole(
        "How long single events are kept; at least accept_past_seconds.",
        minimum=1,
        maximum=TEN_YEARS_SECONDS * 10,
    ),
    "bucket_size": text("The finest buckets of series.", enum=BucketSize.values),
}
EVENT = {"delta": DELTA, "token": TOKEN_GIVEN, "generation_time": GENERATION_TIME}

COMPONENTS: dict[str, Json] = {
    "Problem": obj(
        {
            "type": text(pattern="^urn:counters:problem:[a-z-]+$"),
            "title": text(),
            "status": whole(minimum=400, maximum=599),
            "code": text("Stable; for programs.", pattern="^[a-z-]+$"),
            "detail": text("Names the value at fault and what would be right."),
            "field": text("The field at fault."),
            "index": whole("Of the batch's event at fault, from 0."),
            "namespace": text(),
            "name": text(),
            "right": text("The right that is missing."),
            "token": text(),
            "first_delta": EXACT,
            "delta": EXACT,
            "event_time": instant(),
            "accepted_from": instant("Start of the accept window."),
            "accepted_until": instant("End of the accept window."),
            "events": whole(
                "How many events were sent, or how many this call deleted."
            ),
            "counters": whole("How many counters this call deleted."),
            "most": whole("How many there may be."),
        },
        optional=[
            *("field", "index", "namespace", "name", "right", "token", "first_delta"),
            *(
                "delta",
                "event_time",
                "accepted_from",
                "accepted_until",
                "events",
                "counters",
                "most",
            ),
        ],
    ),
    "NewEvent": obj(EVENT, optional=["token", "generation_time"]),
    "NewEventByName": obj(
        {"name": COUNTER_NAME, **EVENT}, optional=["token", "generation_time"]
    ),
    "Recorded": obj(RECORDED, optional=["promise"]),
    "RecordedByName": obj({"name": COUNTER_NAME, **RECORDED}, optional=["promise"]),
    "BatchEvent": obj(
        {"namespace": text("The namespace's name."), "name": COUNTER_NAME, **EVENT},
        optional=["token", "generation_time"],
    ),
    "Batch": obj(
        {
            "events": {
                "type": "array",
                "items": ref("BatchEvent"),
                "maxItems": BATCH_EVENTS,
            }
        }
    ),
    "BatchAnswer": obj(
        {
            "results": {
                "type": "array",
                "items": ref("Recorded"),
                "description": "One an event, in the order of the request.",
            }
        }
    ),
    "NewNamespace": obj({"name": NAMESPACE_NAME, **SETTINGS}, optional=[*SETTINGS]),
    "NamespaceChange": obj(SETTINGS, optional=[*SETTINGS]),
    "Namespace": obj({"name": NAMESPACE_NAME, **SETTINGS, "created_at": instant()}),
    "Namespaces": obj(
        {
            "results": {"type": "array", "items": ref("Namespace")},
            "next": {
                **text("The URL of the next page; null on the last page."),
                "nullable": True,
            },
        }
    ),
}
