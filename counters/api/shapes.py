"""The JSON bodies of the write API."""

from __future__ import annotations

from typing import TypedDict

from counters.errors import stamp
from counters.repeats import Recorded


class RecordedBody(TypedDict):
    """The answer to an add."""

    token: str
    event_time: str
    duplicate: bool


def recorded_body(recorded: Recorded) -> RecordedBody:
    return {
        "token": recorded.token,
        "event_time": stamp(recorded.event_time),
        "duplicate": recorded.duplicate,
    }
