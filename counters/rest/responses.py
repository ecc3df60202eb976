"""The JSON bodies of the write API."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from counters.errors import stamp
from counters.models import Namespace
from counters.recording.duplicates import Recorded

NO_PROMISE = "best-effort: not durable, may be lost, counts again when retried"


class RecordedBody(TypedDict):
    """The answer to an add. `token` is null where nothing durable was made."""

    token: str | None
    event_time: str
    duplicate: bool
    promise: NotRequired[str]


class NamespaceBody(TypedDict):
    """A namespace's settings."""

    name: str
    description: str
    counter_type: str
    accept_past_seconds: int
    accept_future_seconds: int
    retention_seconds: int
    bucket_size: str
    created_at: str


def recorded_body(recorded: Recorded) -> RecordedBody:
    body: RecordedBody = {
        "token": recorded.token,
        "event_time": stamp(recorded.event_time),
        "duplicate": recorded.duplicate,
    }
    if recorded.token is None:
        body["promise"] = NO_PROMISE
    return body


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
