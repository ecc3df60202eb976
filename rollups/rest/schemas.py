"""The read API's bodies, as `GET /api/schema` describes them."""

from __future__ import annotations

from counters.rest import schemas
from counters.rest.openapi import Json, instant, obj, ref, text, whole, yes_or_no
from counters.rest.schemas import COUNTER_NAME, EXACT
from rollups.reading.series import LENGTHS

ACCURACY = text(
    "eventual: what is folded. accurate: with every event committed before.",
    enum=["eventual", "accurate", "best-effort"],
)
FRESHNESS: dict[str, Json] = {
    "count": EXACT,
    "as_of": instant("Everything committed up to here is in the count."),
    "pending": yes_or_no(
        "Events wait to be folded: an accurate count has them, an eventual one does not."
    ),
    "accuracy": ACCURACY,
}
PROMISE = schemas.RECORDED["promise"]
LAST_WRITE = {**instant("Null in a best-effort namespace."), "nullable": True}
LINK = {**text("The URL of that page; null where there is none."), "nullable": True}
CLEARED: dict[str, Json] = {
    "token": schemas.RECORDED["token"],
    "event_time": instant(),
    "duplicate": yes_or_no("True where the token has cleared before."),
    "count_before": {
        "allOf": [EXACT],
        "nullable": True,
        "description": "What was taken off; null for a duplicate, and for users who may not read.",
    },
    "promise": PROMISE,
}
SERIES: dict[str, Json] = {
    "bucket": text(enum=[*LENGTHS]),
    "from": instant("The first bucket's start."),
    "to": instant("The end of the last bucket, exclusive."),
    "buckets": {"type": "array", "items": ref("Bucket")},
}
# What one call may read: a page of a large site, in one statement.
MOST_NAMES = 1_000
NAMES_WANTED = f"a list of at most {MOST_NAMES:,} counter names"

COMPONENTS: dict[str, Json] = {
    "Reading": obj(
        {
            "namespace": text(),
            "name": COUNTER_NAME,
            **FRESHNESS,
            "last_write_at": LAST_WRITE,
            "promise": PROMISE,
        },
        optional=["promise"],
    ),
    "AddedByName": obj(
        {"name": COUNTER_NAME, **schemas.RECORDED, **FRESHNESS},
        optional=["promise", *FRESHNESS],
    ),
    "ReadMany": obj(
        {
            "names": {
                "type": "array",
                "items": COUNTER_NAME,
                "maxItems": MOST_NAMES,
                "description": "Answered in this order; a name that is sent twice is answered twice.",
            },
            "accuracy": {
                **ACCURACY,
                "nullable": True,
                "enum": [*ACCURACY["enum"], None],
            },
        },
        optional=["accuracy"],
    ),
    "ReadManyAnswer": obj(
        {
            "results": {
                "type": "array",
                "items": obj(
                    {
                        "name": COUNTER_NAME,
                        "found": yes_or_no(
                            "False if the counter does not exist; its count is 0."
                        ),
                        **FRESHNESS,
                        "last_write_at": {
                            **instant(
                                "Null for a counter that does not exist, and in a"
                                " best-effort namespace."
                            ),
                            "nullable": True,
                        },
                        "promise": PROMISE,
                    },
                    optional=["promise"],
                ),
            }
        }
    ),
    "ByName": obj({"name": COUNTER_NAME}),
    "DeleteByName": obj(
        {"name": COUNTER_NAME, "confirm": text("Exactly the counter's name.")}
    ),
    "Added": obj({**schemas.RECORDED, **FRESHNESS}, optional=["promise", *FRESHNESS]),
    "NewClear": obj(
        {"token": schemas.TOKEN_GIVEN, "generation_time": schemas.GENERATION_TIME},
        optional=["token", "generation_time"],
    ),
    "NewClearByName": obj(
        {
            "name": COUNTER_NAME,
            "token": schemas.TOKEN_GIVEN,
            "generation_time": schemas.GENERATION_TIME,
        },
        optional=["token", "generation_time"],
    ),
    "Cleared": obj(CLEARED, optional=["promise"]),
    "ClearedByName": obj({"name": COUNTER_NAME, **CLEARED}, optional=["promise"]),
    "Page": obj(
        {
            "results": {"type": "array", "items": ref("Reading")},
            "next": LINK,
            "previous": LINK,
        }
    ),
    "Bucket": obj(
        {
            "at": instant("The bucket's start."),
            "delta": EXACT,
            "events": whole("How many events it sums.", minimum=0),
        }
    ),
    "Series": obj(SERIES),
    "SeriesByName": obj({"name": COUNTER_NAME, **SERIES}),
    "Total": obj(
        {
            "name": COUNTER_NAME,
            "from": {**instant("Null for an open start."), "nullable": True},
            "to": {
                **instant("Exclusive; null for an open end."),
                "nullable": True,
            },
            "delta": EXACT,
            "events": whole("How many events it sums.", minimum=0),
            "as_of": FRESHNESS["as_of"],
            "pending": FRESHNESS["pending"],
        }
    ),
    "Health": obj({"status": text(enum=["ok"])}),
    "Readiness": obj(
        {
            "status": text(enum=["ok"]),
            "pending": whole("Counters that wait to be folded.", minimum=0),
            "lag_seconds": {"type": "number", "minimum": 0},
        }
    ),
    "Unavailable": obj({"status": text(enum=["unavailable"]), "detail": text()}),
}
