"""Durations read and write the same way in forms, commands and messages."""

from __future__ import annotations

from datetime import timedelta

import pytest

from counters.durations import (
    DurationTooLong,
    format_duration,
    format_roughly,
    parse_duration,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("15 min", 900),
        ("24h", 86_400),
        ("24 hours", 86_400),
        ("30d", 2_592_000),
        (" 1 Day ", 86_400),
        ("0", 0),
    ],
)
def test_parse__takes_numbers_with_units(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "-5", "1.5h", "5x", "5 dd", "٣", "d"])
def test_parse__refuses_other_text(text: str) -> None:
    with pytest.raises(ValueError, match=f"^`{text}` is not a duration"):
        parse_duration(text)


def test_parse__takes_the_longest_duration() -> None:
    assert parse_duration("36600d") == timedelta(days=36_600)


@pytest.mark.parametrize(
    "text", ["3162240001", "36601d", "99999999d", "9999999999999d", "9" * 5_000]
)
def test_parse__refuses_what_is_longer_and_says_the_limit(text: str) -> None:
    with pytest.raises(DurationTooLong) as refused:
        parse_duration(text)

    assert str(refused.value) == (
        f"`{text}` is too long. A duration is at most 36600 days."
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0 s"), (59, "59 s"), (60, "1 min"), (90, "90 s"), (86_400, "24 h")),
        *((172_800, "2 days"), (172_860, "2881 min")),
    ],
)
def test_format__is_exact_and_can_be_read_again(seconds: int, text: str) -> None:
    length = timedelta(seconds=seconds)

    assert format_duration(length) == text
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.84, "0.8 s"), (10, "10 s"), (119, "119 s"), (120, "2 min")),
        *((7_199, "120 min"), (7_200, "2 h"), (172_800, "2 days")),
    ],
)
def test_format_roughly__rounds(seconds: float, text: str) -> None:
    assert format_roughly(seconds) == text
