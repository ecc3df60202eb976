"""Reading the service's answers."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fold_counters_client import results
from fold_counters_client.errors import NotFound, UnexpectedAnswer
from fold_counters_client.results import Json


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def recorded(answer: Json) -> results.Recorded:
    return results.Recorded(
        answer["token"],
        _instant(answer["event_time"]),
        answer["duplicate"],
        answer.get("promise"),
    )


def added(answer: Json) -> results.Added:
    return results.Added(
        token=answer["token"],
        event_time=_instant(answer["event_time"]),
        duplicate=answer["duplicate"],
        count=int(answer["count"]),
        as_of=_instant(answer["as_of"]),
        pending=answer["pending"],
        accuracy=answer["accuracy"],
        promise=answer.get("promise"),
    )


def check_name(sent: str, answer: Json) -> None:
    """Raise UnexpectedAnswer where the answer is about another counter."""
    # The service keeps names in this form.
    if answer["name"] != unicodedata.normalize("NFC", sent):
        raise UnexpectedAnswer(
            f"The call was about counter {sent!r}, but the answer is about"
            f" {answer['name']!r}. Something between this client and the service changes"
            " calls; that other counter may have changed."
        )


def readings(
    answer: Json, namespace: str, names: Sequence[str]
) -> list[results.Reading | None]:
    """Return the readings in the order of the names; None where there is no counter."""
    found = []
    for name, one in zip(names, answer["results"], strict=True):
        check_name(name, one)
        there = one["found"]
        found.append(reading({"namespace": namespace, **one}) if there else None)
    return found


def no_counter(namespace: str, name: str) -> NotFound:
    """Return the error of a counter that a read did not find."""
    return NotFound(
        404,
        "counter-not-found",
        f"There is no counter {name!r} in namespace {namespace!r}: nothing has been added to"
        " it yet.",
        {"namespace": namespace, "name": name},
    )


def reading(answer: Json) -> results.Reading:
    last = answer["last_write_at"]
    return results.Reading(
        namespace=answer["namespace"],
        name=answer["name"],
        count=int(answer["count"]),
        as_of=_instant(answer["as_of"]),
        pending=answer["pending"],
        accuracy=answer["accuracy"],
        last_write_at=None if last is None else _instant(last),
        promise=answer.get("promise"),
    )


def cleared(answer: Json) -> results.Cleared:
    before = answer["count_before"]
    return results.Cleared(
        token=answer["token"],
        event_time=_instant(answer["event_time"]),
        duplicate=answer["duplicate"],
        count_before=None if before is None else int(before),
        promise=answer.get("promise"),
    )


def page(answer: Json) -> results.Page:
    cursor = None
    if answer["next"] is not None:
        # Only the cursor: behind a proxy the service may not know its own address.
        cursor = parse_qs(urlsplit(answer["next"]).query)["cursor"][0]
    return results.Page([reading(one) for one in answer["results"]], cursor)


def series(answer: Json) -> results.Series:
    return results.Series(
        bucket=answer["bucket"],
        since=_instant(answer["from"]),
        until=_instant(answer["to"]),
        buckets=[
            results.Bucket(_instant(one["at"]), int(one["delta"]), one["events"])
            for one in answer["buckets"]
        ],
    )


def total(answer: Json) -> results.Total:
    since, until = answer["from"], answer["to"]
    return results.Total(
        since=None if since is None else _instant(since),
        until=None if until is None else _instant(until),
        delta=int(answer["delta"]),
        events=answer["events"],
        as_of=_instant(answer["as_of"]),
        pending=answer["pending"],
    )


def namespace(answer: Json) -> results.Namespace:
    known: dict[str, Any] = {name: answer[name] for name in results.Namespace.__slots__}
    return results.Namespace(**{**known, "created_at": _instant(answer["created_at"])})
