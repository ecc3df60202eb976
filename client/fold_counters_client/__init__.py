"""A typed client of the fold counters service: it retries so that nothing counts twice."""

from __future__ import annotations

from fold_counters_client._async.batcher import AsyncBatcher
from fold_counters_client._async.client import AsyncClient
from fold_counters_client._sync.batcher import Batcher
from fold_counters_client._sync.client import Client
from fold_counters_client.batching import Refused
from fold_counters_client.errors import (
    AccessDenied,
    BatcherFull,
    ClientClosed,
    CountersError,
    InvalidArgument,
    NoAnswer,
    NotAuthenticated,
    NotFound,
    OutsideAcceptWindow,
    Problem,
    Throttled,
    TokenConflict,
    Unavailable,
    UnexpectedAnswer,
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
    Total,
)
from fold_counters_client.retrying import Retries
from fold_counters_client.tokens import new_token

__all__ = [
    "AccessDenied",
    "Added",
    "AsyncBatcher",
    "AsyncClient",
    "Batcher",
    "BatcherFull",
    "Bucket",
    "Cleared",
    "Client",
    "ClientClosed",
    "CountersError",
    "InvalidArgument",
    "Namespace",
    "NewEvent",
    "NoAnswer",
    "NotAuthenticated",
    "NotFound",
    "OutsideAcceptWindow",
    "Problem",
    "Reading",
    "Recorded",
    "Refused",
    "Retries",
    "Series",
    "Throttled",
    "TokenConflict",
    "Total",
    "Unavailable",
    "UnexpectedAnswer",
    "new_token",
]
