"""Check counter names, so that no two names look the same.

Names are kept in Unicode's form NFC, so `é` is one name however it was typed. Invisible
characters are refused.
"""

from __future__ import annotations

import re
import unicodedata

from counters.errors import InvalidValue, MissingValue

COUNTER_NAME_LENGTH = 200
WANTED = f"a counter name: 1 to {COUNTER_NAME_LENGTH} visible characters"
# NFC makes a text at most four times shorter, and sorts runs of marks in quadratic time.
_LONGEST_GIVEN = 4 * COUNTER_NAME_LENGTH
# Python calls them printable, but they show nothing: fillers, selectors, the Braille blank.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_NON_JOINER, _JOINER = "\u200c", "\u200d"
_TEXT_STYLE, _EMOJI_STYLE = "\ufe0e", "\ufe0f"
_VIRAMA = 9


def check(name: object, *, field: str = "name") -> str:
    """Return the name as it is stored, or raise InvalidValue or MissingValue."""
    if name is None:
        raise MissingValue(field, WANTED)
    if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST_GIVEN:
        raise InvalidValue(field, name, WANTED)
    kept = normalized(name)
    if len(kept) > COUNTER_NAME_LENGTH:
        raise InvalidValue(field, name, WANTED)
    # Most names pass here, without a look at each character.
    if not kept.isprintable() or (not kept.isascii() and _BLANK.search(kept)):
        for index, character in enumerate(kept):
            if not _can_be_seen(kept, index):
                raise InvalidValue(field, name, _without(character, index))
    if kept[0] == " " or kept[-1] == " ":
        raise InvalidValue(field, name, f"{WANTED}, without a space at either end")
    return kept


def normalized(text: str) -> str:
    """Return a name, or a part of one, in the form in which names are kept: NFC."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def is_blank(text: str) -> bool:
    """Tell whether a printable text shows nothing: spaces and what looks like them."""
    return text.isspace() or (not text.isascii() and not _BLANK.sub("", text).strip())


def is_text(value: str) -> bool:
    """Return whether PostgreSQL can store the text and people can see where it ends."""
    # ASCII text, by far the most, needs no look at each character's category.
    if value.isascii():
        return value.isprintable()
    # Cc: control characters, NUL among them. Cs: halves of surrogate pairs, not UTF-8.
    return not any(unicodedata.category(one) in {"Cc", "Cs"} for one in value)


def _can_be_seen(text: str, index: int) -> bool:
    """Tell whether a reader can see the character at this place."""
    character = text[index]
    # Python does not call printable: controls, formats, surrogates, private use, characters
    # that its Unicode version does not know, and every space but the ordinary one.
    if character.isprintable() and not _BLANK.match(character):
        return True
    return index > 0 and _shapes(
        text[index - 1], character, text[index + 1 : index + 2]
    )


def _shapes(before: str, character: str, after: str) -> bool:
    """Tell whether an invisible character changes how its neighbours look.

    U+200D joins emoji and U+FE0F styles them (UTS 51). Indic scripts use joiners after a
    virama, and Persian keeps letters apart, as in domain names (RFC 5892, appendix A).
    """
    if character in {_TEXT_STYLE, _EMOJI_STYLE}:
        return _is_symbol(before)
    if character in {_JOINER, _NON_JOINER} and unicodedata.combining(before) == _VIRAMA:
        return True
    if character == _JOINER:
        return (before == _EMOJI_STYLE or _is_symbol(before)) and _is_symbol(after)
    return character == _NON_JOINER and _is_arabic(before) and _is_arabic(after)


def _is_symbol(character: str) -> bool:
    if character.isascii():
        return False
    return unicodedata.category(character) in {"So", "Sk", "Sm"}


def _is_arabic(character: str) -> bool:
    return character != "" and unicodedata.bidirectional(character) == "AL"


def _without(character: str, index: int) -> str:
    named = unicodedata.name(character, "")
    code_point = f"U+{ord(character):04X}" + f" {named}" * bool(named)
    fault = {
        "Zs": "is not the ordinary space",
        # In a path, bytes that are not UTF-8 become such halves.
        "Cs": "is half of a surrogate pair, or a byte that is not UTF-8",
    }.get(unicodedata.category(character), "is invisible")
    return f"a counter name: its character {index + 1}, {code_point}, {fault}"
