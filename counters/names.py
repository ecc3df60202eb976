"""The rule for counter names."""

from __future__ import annotations

import unicodedata

from counters.errors import InvalidValue, MissingValue
from counters.models import COUNTER_NAME_LENGTH

WANTED = f"a counter name: 1 to {COUNTER_NAME_LENGTH} characters of text without control characters"


def check(name: object) -> str:
    """Return the name, or raise InvalidValue or MissingValue."""
    if name is None:
        raise MissingValue("name", WANTED)
    if not isinstance(name, str) or not 1 <= len(name) <= COUNTER_NAME_LENGTH:
        raise InvalidValue("name", name, WANTED)
    if not is_text(name):
        raise InvalidValue("name", name, WANTED)
    return name


def is_text(value: str) -> bool:
    """Return whether PostgreSQL can keep it and people can see where it ends."""
    # ASCII text, by far the most, needs no look at each character's category.
    if value.isascii():
        return value.isprintable()
    # Cc: control characters, NUL among them. Cs: halves of surrogate pairs, not UTF-8.
    return not any(unicodedata.category(one) in {"Cc", "Cs"} for one in value)
