"""Counter names that look the same are one name or are refused, in every interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command

from counters import events
from counters.errors import BatchRefused, CounterNotFound, InvalidValue
from counters.models import Counter, Namespace
from counters.namespaces import deletion
from counters.recording import names
from rollups import counts as reading
from rollups.admin import search
from rollups.reading import clear, listing, series
from rollups.reading.many import CounterName, get_many

# One name, typed as one character and as a letter with an accent.
COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    "name",
    [
        "page/home",
        "two  words",
        COMPOSED,
        "\u0928\u092e\u0938\u094d\u0924\u0947",
        "\u6771\u4eac",
        # Emoji: styled, joined, of a skin colour, and flags.
        "\u2764\ufe0f",
        "\u2764\ufe0f\u200d\U0001f525",
        "\U0001f469\U0001f3fd\u200d\U0001f4bb",
        "\U0001f1eb\U0001f1f7",
        # A virama's joiners, and letters that Persian keeps apart.
        "\u0915\u094d\u200d\u0937",
        "\u0915\u094d\u200c\u0937",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "x" * 200,
        "e\u0301" * 200,
    ],
)
def test_name__that_can_be_seen_is_one(name: str) -> None:
    assert names.check(names.check(name)) == names.check(name)


def test_name__is_kept_in_one_form() -> None:
    assert names.check(DECOMPOSED) == names.check(COMPOSED) == COMPOSED


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a\u200bb", "character 2, U+200B ZERO WIDTH SPACE, is invisible"),
        ("\ufeffa", "character 1, U+FEFF ZERO WIDTH NO-BREAK SPACE, is invisible"),
        ("so\u00adft", "U+00AD SOFT HYPHEN, is invisible"),
        ("a\u202eb", "U+202E RIGHT-TO-LEFT OVERRIDE, is invisible"),
        ("a\u2066b", "U+2066 LEFT-TO-RIGHT ISOLATE, is invisible"),
        ("a\u2028b", "U+2028 LINE SEPARATOR, is invisible"),
        ("a\u2029b", "U+2029 PARAGRAPH SEPARATOR, is invisible"),
        ("a\x00b", "U+0000, is invisible"),
        ("a\nb", "U+000A, is invisible"),
        ("\ud800", "U+D800, is half of a surrogate pair, or a byte that is not UTF-8"),
        ("a\ue000", "U+E000, is invisible"),
        ("a\u0378", "U+0378, is invisible"),
        ("a\u3164b", "U+3164 HANGUL FILLER, is invisible"),
        ("a\u2800b", "U+2800 BRAILLE PATTERN BLANK, is invisible"),
        ("a\u034fb", "U+034F COMBINING GRAPHEME JOINER, is invisible"),
        ("a\u00a0b", "U+00A0 NO-BREAK SPACE, is not the ordinary space"),
        ("a\u3000b", "U+3000 IDEOGRAPHIC SPACE, is not the ordinary space"),
        # In places where they change nothing visible.
        ("a\u200db", "U+200D ZERO WIDTH JOINER, is invisible"),
        ("a\u200cb", "U+200C ZERO WIDTH NON-JOINER, is invisible"),
        ("1\ufe0f", "U+FE0F VARIATION SELECTOR-16, is invisible"),
        ("\u2764\ufe0f\ufe0f", "character 3, U+FE0F VARIATION SELECTOR-16"),
        ("\U0001f469\u200d", "character 2, U+200D ZERO WIDTH JOINER"),
        (" a", "without a space at either end"),
        ("a ", "without a space at either end"),
        (" ", "without a space at either end"),
        (f"{COMPOSED} ", "without a space at either end"),
        ("x" * 201, "1 to 200 visible characters"),
        ("e\u0301" * 201, "1 to 200 visible characters"),
        ("e" + "\u0301\u0323" * 50_000, "1 to 200 visible characters"),
        ("", "1 to 200 visible characters"),
        (42, "1 to 200 visible characters"),
    ],
)
def test_name__that_cannot_be_seen_is_refused_by_its_code_point(
    name: Any, fault: str
) -> None:
    with pytest.raises(InvalidValue) as refused:
        names.check(name)

    assert fault in refused.value.message
    assert refused.value.field == "name"


def test_counter__has_one_name_in_python(
    namespace: Namespace, triggers: list[list[int]]
) -> None:
    events.add(namespace="test", name=DECOMPOSED, delta=1)
    events.add(namespace="test", name=COMPOSED, delta=2)
    events.add_many([events.NewEvent("test", DECOMPOSED, 4)])

    assert Counter.objects.get().name == COMPOSED
    for name in (COMPOSED, DECOMPOSED):
        read = reading.get(namespace="test", name=name, accuracy="accurate")
        assert (read.name, read.count) == (COMPOSED, 7)
        [found] = get_many([CounterName("test", name)])
        assert found.counter_id is not None
        [listed] = listing.list_counters(
            namespace=namespace.name, search=name[2:]
        ).readings
        assert listed.name == COMPOSED
        series.series(namespace=namespace.name, name=name)
    [shown] = search.find(namespace_id=namespace.pk, prefix=COMPOSED)
    assert shown.name == COMPOSED

    assert (
        clear.clear(namespace="test", name=DECOMPOSED, token="once").count_before == 7
    )
    assert clear.clear(namespace="test", name=COMPOSED, token="once").duplicate
    deletion.delete_counter(namespace="test", name=COMPOSED, confirm=DECOMPOSED)
    assert not Counter.objects.exists()


def test_counter__has_one_name_in_a_best_effort_namespace(namespace: Namespace) -> None:
    cache.clear()
    namespace.counter_type = "best-effort"
    namespace.save()
    events.add(namespace="test", name=DECOMPOSED)
    events.add(namespace="test", name=COMPOSED)

    assert reading.get(namespace="test", name=DECOMPOSED).count == 2
    [found] = get_many([CounterName("test", DECOMPOSED)])
    assert found.count == 2
    cache.clear()


@pytest.mark.parametrize(
    "call",
    [
        lambda name: events.add(namespace="test", name=name),
        lambda name: reading.get(namespace="test", name=name),
        lambda name: get_many([CounterName("test", name)]),
        lambda name: series.series(namespace="test", name=name),
        lambda name: clear.clear(namespace="test", name=name),
        lambda name: deletion.delete_counter(namespace="test", name=name, confirm=name),
        lambda name: call_command("counters", "add", "test", name),
    ],
)
def test_call__refuses_a_name_that_cannot_be_seen(
    namespace: Namespace, call: Callable[[str], object]
) -> None:
    for name in ("a\u200bb", "a "):
        with pytest.raises(
            Exception, match=r"name: .* is not a counter name"
        ) as refused:
            call(name)
        assert not isinstance(refused.value, CounterNotFound)
    assert not Counter.objects.exists()


def test_batch__refuses_a_name_that_cannot_be_seen(namespace: Namespace) -> None:
    with pytest.raises(BatchRefused, match=r"events\[1\]: name: .*U\+200B"):
        events.add_many(
            [events.NewEvent("test", "a"), events.NewEvent("test", "a\u200b")]
        )
    assert not Counter.objects.exists()
