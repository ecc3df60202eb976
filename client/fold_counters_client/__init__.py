"""A typed client of the fold counters service: it retries so that nothing counts twice."""

from __future__ import annotations

from fold_counters_client.aio import AsyncClient
from fold_counters_client.batching import Batcher
from fold_counters_client.client import Client
from fold_counters_client.errors import (
    AccessDenied,
    CountersError,
    NoAnswer,
    NotAuthenticated,
    NotFound,
    OutsideAcceptWindow,
    Problem,
    Throttled,
    TokenConflict,
    Unavailable,
)
from fold_counters_client.results import (
    Added,
    Bucket,
    Cleared,
    Namespace,
    NewEvent,
    Reading,
    Recorded,
    Series,
)
from fold_counters_client.retrying import Retries
from fold_counters_client.tokens import new_token

__all__ = [
    "AccessDenied",
    "Added",
    "AsyncClient",
    "Batcher",
    "Bucket",
    "Cleared",
    "Client",
    "CountersError",
    "Namespace",
    "NewEvent",
    "NoAnswer",
    "NotAuthenticated",
    "NotFound",
    "OutsideAcceptWindow",
    "Problem",
    "Reading",
    "Recorded",
    "Retries",
    "Series",
    "Throttled",
    "TokenConflict",
    "Unavailable",
    "new_token",
]
