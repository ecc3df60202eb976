"""Housekeeping of claims; `recording` makes and renews them."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import connection

from counters.statements import load

BATCH_ROWS = 10_000


def drop_expired(*, now: datetime | None = None, batch_rows: int = BATCH_ROWS) -> int:
    """Drop expired claims in short transactions; return how many."""
    now = now or datetime.now(UTC)
    dropped = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                load("counters", "drop_expired_claims"),
                {"now": now, "batch_rows": batch_rows},
            )
            dropped += cursor.rowcount
            if cursor.rowcount < batch_rows:
                return dropped
