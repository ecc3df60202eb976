"""Housekeeping of claims; `recording` makes and renews them."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from counters.db import clock
from counters.db.statements import affect

BATCH_ROWS = 10_000


def drop_expired(*, now: datetime | None = None, batch_rows: int = BATCH_ROWS) -> int:
    """Drop expired claims in short transactions; return how many."""
    now = now or clock.database_now()
    dropped = 0
    while True:
        rows = affect(
            connection,
            "counters",
            "drop_expired_claims",
            now=now,
            batch_rows=batch_rows,
        )
        dropped += rows
        if rows < batch_rows:
            return dropped
