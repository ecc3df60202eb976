"""Parse and create idempotency tokens.

Any token may come with a generation time, which is the event's time. A UUIDv7 (RFC 9562)
that comes without one carries the time at which it was made; that is the event's time. A
token without a time is valid for the whole accept window. The answers to its duplicates hold
the time of its first event.

A UUID is the same token in lower and upper case. Without its dashes it is another token: 32
hex digits may be any hash, and one hash in 64 would pass for a UUIDv7.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from counters.errors import InvalidValue
from counters.recording import names

TOKEN_LENGTH = 255
WANTED = f"a token: text of 1 to {TOKEN_LENGTH} characters, none of them invisible, not only spaces"
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What Python code may give, such as the key of an order. The API takes text only.
GivenToken = str | int | UUID
# A client that sends a UUIDv7 together with the time at which it was made may round one of the
# two times, or leave the time out of a retry.
AGREEMENT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its text, its stored form, and its event time if it carries one."""

    text: str
    uuid: UUID
    event_time: datetime | None


def new(now: datetime | None = None) -> Token:
    """Make a UUIDv7 of this instant; its event time is the millisecond it carries."""
    milliseconds = time.time_ns() // 1_000_000 if now is None else _milliseconds(now)
    uuid = _uuid(7, milliseconds << 80 | int.from_bytes(os.urandom(10), "big"))
    return Token(str(uuid), uuid, EPOCH + timedelta(milliseconds=milliseconds))


def as_text(token: object) -> object:
    """Return a number's digits or a UUID's canonical text; return other values unchanged."""
    if isinstance(token, UUID):
        return str(token)
    if isinstance(token, int) and not isinstance(token, bool):
        # Longer numbers are not tokens, and Python refuses to print the longest.
        return str(int(token)) if abs(token) < 10**TOKEN_LENGTH else token
    return token


def parse(text: object, generation_time: datetime | None = None) -> Token:
    """Parse a client's token, or raise InvalidValue."""
    if not isinstance(text, str) or not 1 <= len(text) <= TOKEN_LENGTH:
        raise InvalidValue("token", text, WANTED)
    if UUID_TEXT.fullmatch(text):
        uuid = UUID(text)
        if uuid.version == 7:
            return Token(text, uuid, _event_time(uuid, generation_time))
        return Token(text, uuid, generation_time)
    if not text.isprintable() or names.is_blank(text):
        raise InvalidValue("token", text, WANTED)
    return Token(text, digest(text), generation_time)


def digest(text: str) -> UUID:
    """Return a text as it is stored: 122 bits of its SHA-256 as a UUIDv8.

    RFC 9562 leaves version 8 to applications.
    """
    return _uuid(8, int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def _event_time(uuid: UUID, generation_time: datetime | None) -> datetime:
    """Return the generation time, or else the time that the UUIDv7 carries.

    A UUIDv7 may be an order's primary key and much older than the event; only the client
    knows. If the two times agree, the carried one is returned: see AGREEMENT.
    """
    try:
        carried = EPOCH + timedelta(milliseconds=uuid.int >> 80)
    except OverflowError as error:
        if generation_time is not None:
            return generation_time
        raise InvalidValue(
            "token",
            str(uuid),
            "a UUIDv7 of our time: it carries one after the year 9999",
        ) from error
    if generation_time is None or abs(carried - generation_time) <= AGREEMENT:
        return carried
    return generation_time


def _uuid(version: int, bits: int) -> UUID:
    """Set a UUID's version and variant bits; Python 3.11's UUID knows no 7 and no 8."""
    bits = bits & ~(0xF << 76) | version << 76
    return UUID(int=bits & ~(0x3 << 62) | 0x2 << 62)


def _milliseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)
