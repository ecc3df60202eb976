"""Idempotency tokens."""

from __future__ import annotations

import os
import time
from uuid import UUID


def new_token() -> str:
    """Make a UUIDv7 (RFC 9562) of this instant, which becomes the event's time."""
    milliseconds = time.time_ns() // 1_000_000
    bits = milliseconds << 80 | int.from_bytes(os.urandom(10), "big")
    bits = bits & ~(0xF << 76) | 0x7 << 76
    return str(UUID(int=bits & ~(0x3 << 62) | 0x2 << 62))
