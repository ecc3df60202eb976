"""A REST batch of 1,000 events, and its statement."""

from __future__ import annotations

from datetime import UTC, datetime

from benchmarks.profile import backends, requests
from benchmarks.profile.remote import profile
from counters.models import Namespace
from counters.recording import tokens


def show(seconds: float) -> None:
    profile(
        f"An event in a REST batch of {requests.BATCH:,}",
        requests.batches(),
        seconds=seconds,
        events=requests.BATCH,
    )
    numbers = range(requests.BATCH)
    backends.show_plan(
        "counters",
        "add_events",
        {
            "namespace_ids": [Namespace.objects.get().pk for _ in numbers],
            "names": [f"c{number}" for number in numbers],
            "tokens": [tokens.new().uuid for _ in numbers],
            "event_times": [datetime.now(UTC) for _ in numbers],
            "deltas": [1 for _ in numbers],
            "accept_pasts": [None for _ in numbers],
        },
    )
