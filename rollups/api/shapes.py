"""The JSON bodies of the read API."""

from __future__ import annotations

from typing import TypedDict

from counters.errors import stamp
from rollups.reading import Accuracy, Reading

# Beyond this a JavaScript number is rounded; such counts are sent as strings.
EXACT_IN_JAVASCRIPT = 2**53 - 1


class ReadingBody(TypedDict):
    """A counter as it was read."""

    namespace: str
    name: str
    count: int | str
    as_of: str
    pending: bool
    accuracy: Accuracy
    last_write_at: str | None


def reading_body(reading: Reading) -> ReadingBody:
    return {
        "namespace": reading.namespace,
        "name": reading.name,
        "count": exact_number(reading.count),
        "as_of": stamp(reading.as_of),
        "pending": reading.pending,
        "accuracy": reading.accuracy,
        "last_write_at": stamp(reading.last_write_at)
        if reading.last_write_at
        else None,
    }


def exact_number(value: int) -> int | str:
    """Return the value in the JSON form that no client rounds in silence."""
    return value if abs(value) <= EXACT_IN_JAVASCRIPT else str(value)
