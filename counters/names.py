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
    # ASCII text, by far the most, needs no look at each character's category.
    if name.isascii() and name.isprintable():
        return name
    # Cc: control characters, NUL among them. Cs: halves of surrogate pairs, not UTF-8.
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        raise InvalidValue("name", name, WANTED)
    return name
