"""No parser raises anything but its own errors, whatever it is given."""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from argparse import ArgumentTypeError
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import ImproperlyConfigured, RequestDataTooBig
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from counters.errors import CountersError, shown
from counters.json_values import read_time
from counters.namespaces.settings import FIELDS, _checked
from counters.recording import names, tokens
from counters.recording.validation import check_delta
from counters.rest import parsers
from counters_project import env
from rollups.commands.namespaces import duration
from rollups.reading.listing import ORDERINGS, Place
from rollups.rest import cursors
from tests.fuzz.examples import almost, any_text, fuzzed, json_values


@fuzzed
@given(
    any_text | almost | json_values, st.none() | st.datetimes(timezones=st.just(UTC))
)
def test_token__is_parsed_or_refused(text: Any, at: datetime | None) -> None:
    with suppress(CountersError):
        parsed = tokens.parse(text, at)

        assert parsed.text == text
        assert parsed.uuid.version in {*range(9), None}
        # It can be stored and sent.
        text.encode()
        assert "\0" not in text


@fuzzed
@given(any_text | json_values)
def test_name__is_one_or_refused(name: Any) -> None:
    with suppress(CountersError):
        checked = names.check(name)

        checked.encode()
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u200b\ufeff]|^ | $", checked)
        assert names.check(checked) == checked
        assert 1 <= len(checked) <= 200


@fuzzed
@given(json_values)
def test_delta__is_in_range_or_refused(delta: Any) -> None:
    with suppress(CountersError):
        assert -(2**63) <= check_delta(delta) < 2**63


@fuzzed
@given(json_values)
def test_object__has_the_allowed_fields_or_is_refused(body: Any) -> None:
    with suppress(CountersError):
        assert set(parsers.read_object(body, allowed=frozenset({"delta"}))) <= {"delta"}


@fuzzed
@given(any_text | almost | json_values)
def test_time__is_in_utc_or_refused(value: Any) -> None:
    with suppress(CountersError):
        at = read_time("at", value)

        assert at is None or at.tzinfo is UTC


@fuzzed
@given(any_text | almost)
def test_query__is_read_or_refused(value: str) -> None:
    with suppress(CountersError):
        parsers.read_text("search", value).encode()
    with suppress(CountersError):
        assert 1 <= parsers.read_whole_number("limit", value, most=50) <= 50
    with suppress(CountersError):
        parsers.read_claim("gaps", value)


def json_like(value: Any) -> bytes:
    return json.dumps(value).encode()


@fuzzed
@given(
    st.binary(max_size=200)
    | json_values.map(json_like)
    | st.integers(1, 100_000).map(lambda depth: b"[" * depth)
    | st.integers(1, 20_000).map(lambda digits: b'{"delta":' + b"9" * digits + b"}")
    | st.sampled_from(
        [b"NaN", b"Infinity", b'{"a":1e999}', b"\xff\xfe1\x00", b'"\\ud800"']
    )
)
def test_body__is_json_or_refused(body: bytes) -> None:
    with suppress(ParseError, RequestDataTooBig):
        parsers.StrictJSONParser().parse(BytesIO(body), parser_context={})


@fuzzed
@given(
    any_text
    | st.binary(max_size=100).map(lambda raw: base64.urlsafe_b64encode(raw).decode())
    | json_values.map(lambda one: base64.urlsafe_b64encode(json_like(one)).decode())
    | st.tuples(
        st.sampled_from(ORDERINGS), any_text | almost, json_values, json_values
    ).map(lambda four: base64.urlsafe_b64encode(json_like(four)).decode()),
    st.sampled_from(ORDERINGS) | any_text,
)
def test_cursor__is_a_place_or_refused(cursor: str, ordering: str) -> None:
    with suppress(CountersError):
        place = cursors.read(cursor, ordering)

        assert isinstance(place, Place)
        assert -(2**63) <= place.counter_id < 2**63
        cursors.write(place, ordering)


@fuzzed
@given(st.sampled_from(sorted(FIELDS)), json_values | almost)
def test_setting__of_a_namespace_is_taken_or_refused(field: str, value: Any) -> None:
    with suppress(CountersError):
        _checked(field, value)


@fuzzed
@given(json_values | st.integers(5_000, 20_000).map(lambda digits: 10**digits))
def test_value__can_always_be_shown(value: Any) -> None:
    assert len(shown(value)) <= 81


@fuzzed
@given(any_text | almost | st.from_regex(r"[0-9]{1,12}[smhd]?"))
def test_duration__is_seconds_or_wrong_usage(text: str) -> None:
    with suppress(ArgumentTypeError):
        assert duration(text) >= 0


# What a variable of the environment can hold.
variable = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
READERS: dict[str, Callable[[str], Any]] = {
    "text": lambda name: env.text(name, "x"),
    "integer": lambda name: env.integer(name, 1),
    "number": lambda name: env.number(name, 1.0),
    "flag": lambda name: env.flag(name, False),
    "url": lambda name: env.url(name, "redis://localhost"),
    "cache_url": lambda name: env.cache_url(name, "redis://localhost"),
    "names": lambda name: env.names(name, "a,b"),
}


@pytest.mark.parametrize("reader", READERS)
@fuzzed
@given(
    variable
    | almost
    | st.sampled_from(["inf", "nan", "1_0", "9" * 5_000, "http://[::1", "x://u:p@h:p"])
)
def test_variable__is_read_or_named(reader: str, text: str) -> None:
    with mock.patch.dict(os.environ, {"SOME_NAME": text}):
        said = "SOME_NAME is read"
        try:
            READERS[reader]("SOME_NAME")
        except ImproperlyConfigured as error:
            said = str(error)
    assert "SOME_NAME" in said


@fuzzed
@given(st.binary(max_size=100) | json_values.map(json_like))
def test_run_record__is_read_or_taken_for_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)

    assert isinstance(env.running_service(tmp_path), dict)


@pytest.mark.parametrize("charset", ["zlib", "hex", "a\0b"])
def test_parse__of_a_charset_that_is_not_text_is_refused(charset: str) -> None:
    """Decompressed after its size was checked, a body would have no bound."""
    body = BytesIO(zlib.compress(b"[" + b"0," * 1000 + b"0]"))

    with pytest.raises(ParseError, match=r"text encoding|null character"):
        parsers.StrictJSONParser().parse(body, parser_context={"encoding": charset})
