"""The arguments and results of calls. Counts of any size are exact; instants are UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from fold_counters_client import arguments
from fold_counters_client.arguments import GivenToken
from fold_counters_client.tokens import new_token

Accuracy = Literal["eventual", "accurate", "best-effort"]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NewEvent:
    """One event of a batch. Its token is made with it, so sending it again is safe.

    Raises InvalidArgument.
    """

    namespace: str
    name: str
    delta: int = 1
    token: GivenToken = field(default_factory=new_token)
    generation_time: datetime | None = None

    def __post_init__(self) -> None:
        arguments.namespace(self.namespace)
        arguments.text("name", self.name)
        arguments.delta(self.delta)
        # Keep the text that is sent; the class is frozen for its users.
        object.__setattr__(self, "token", arguments.idempotency_token(self.token))
        if self.generation_time is not None:
            arguments.stamp("generation_time", self.generation_time)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event that counts; `duplicate` is true if its token was counted before."""

    # None in a best-effort namespace; `promise` then states the limits.
    token: str | None
    event_time: datetime
    duplicate: bool
    promise: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """An event that counts, and the count after it."""

    token: str | None
    event_time: datetime
    duplicate: bool
    count: int
    as_of: datetime
    pending: bool
    accuracy: Accuracy
    promise: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A count and how fresh it is."""

    namespace: str
    name: str
    count: int
    # Everything committed up to this instant is in the count.
    as_of: datetime
    # Events wait to be folded: an accurate count includes them, an eventual one does not.
    pending: bool
    accuracy: Accuracy
    last_write_at: datetime | None
    promise: str | None = None


@dataclass(frozen=True, slots=True)
class Cleared:
    """The result of a clear; `count_before` is None for a duplicate, or without read access."""

    token: str | None
    event_time: datetime
    duplicate: bool
    count_before: int | None
    promise: str | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """The sum of the events from `at` until the next bucket."""

    at: datetime
    delta: int
    events: int


@dataclass(frozen=True, slots=True)
class Series:
    """Buckets, oldest first; `until` is not in the series."""

    bucket: Literal["minute", "hour", "day"]
    since: datetime
    until: datetime
    buckets: list[Bucket]


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of a counter's events from `since` until `until`; None is an open end."""

    since: datetime | None
    until: datetime | None
    delta: int
    events: int
    # Everything committed up to this instant is in the sum.
    as_of: datetime
    pending: bool


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace's settings; `accept_past_seconds` is how long you may retry."""

    name: str
    description: str
    counter_type: Accuracy
    accept_past_seconds: int
    accept_future_seconds: int
    retention_seconds: int
    bucket_size: Literal["minute", "hour", "day"]
    created_at: datetime
