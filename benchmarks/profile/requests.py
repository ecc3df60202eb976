"""The requests of the REST profiles: path and body of each, again and again."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

BATCH = 1_000


def adds() -> Iterator[tuple[str, bytes]]:
    """One event each, over a thousand counters."""
    for number in itertools.cycle(range(1_000)):
        yield f"/api/v1/namespaces/bench/counters/c{number}/add", b'{"delta": 1}'


def batches() -> Iterator[tuple[str, bytes]]:
    """A thousand events each, without tokens, over a thousand counters."""
    events = [
        {"namespace": "bench", "name": f"c{number}", "delta": 1}
        for number in range(BATCH)
    ]
    body = json.dumps({"events": events}).encode()
    return itertools.repeat(("/api/v1/events", body))
