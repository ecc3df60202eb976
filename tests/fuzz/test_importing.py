"""Whatever a file holds, an import takes or rejects its rows, and raises nothing else."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from counters.db import clock
from counters.errors import CountersError
from counters.importing import mapping as templates
from counters.importing import rows, times
from counters.importing.errors import BadRow, CannotImport, InputBroken
from counters.importing.input import Lines
from counters.importing.mapping import RowMapping
from counters.importing.options import Options
from counters.models import Namespace
from tests.fuzz.examples import almost, any_text, fuzzed, json_values
from tests.fuzz.test_parsers import json_like

NAMESPACE = Namespace(id=1, name="test", accept_future=timedelta(minutes=5))
OPTIONS = Options(
    file="x.csv", namespace="test", counters=("{a}/{b}",), time="b", token="c"
)

line = st.lists(any_text | almost, max_size=5).map(",".join)
files = (
    st.binary(max_size=500)
    | st.lists(line, max_size=5).map(
        lambda lines: (
            "\n".join(["a,b,c", *lines]).encode(errors="surrogateescape")
            if all(one.isascii() for one in lines)
            else "\n".join(["a,b,c", *lines]).encode(errors="replace")
        )
    )
    | st.lists(json_values.map(json_like), max_size=5).map(b"\n".join)
    | st.lists(
        st.fixed_dictionaries(
            {"a": json_values, "b": json_values, "c": json_values}
        ).map(json_like),
        max_size=5,
    ).map(b"\n".join)
)


@fuzzed
@given(
    files,
    st.sampled_from(["utf-8", "latin-1", "cp1252", "shift_jis", "utf-7"]),
    st.sampled_from([(True, False), (True, True), (False, False)]),
)
def test_file__is_rows_and_rejects(
    content: bytes, encoding: str, quotes_and_multiline: tuple[bool, bool]
) -> None:
    dialect = rows.Dialect(",", *quotes_and_multiline)
    # Compared already, so that no database is asked.
    clock.compare(datetime.now(UTC), asked_at=datetime.now(UTC))
    mapping = RowMapping(OPTIONS, NAMESPACE, "x.csv")
    wanted = mapping.columns
    found: list[rows.Row | rows.Unreadable] = []

    with suppress(CannotImport, InputBroken):
        lines = Lines(BytesIO(content), encoding)
        header = rows.read_header(lines, dialect, wanted)
        found += rows.read_csv(lines, header, wanted, dialect)
    with suppress(CannotImport, InputBroken):
        found += rows.read_ndjson(Lines(BytesIO(content), encoding), wanted)

    for row in found:
        if isinstance(row, rows.Row):
            with suppress(BadRow):
                for event in mapping.events_of(row):
                    event.name.encode()
                    assert -(2**63) <= event.delta < 2**63


@fuzzed
@given(st.text(alphabet='"",x\n', max_size=40))
def test_rows__without_multiline_are_rows_with_it(content: str) -> None:
    """So a second import, with --multiline as the first one advises, counts no row twice."""

    def found(*, multiline: bool) -> set[tuple[int, str]]:
        lines = Lines(BytesIO(content.encode()), "utf-8")
        dialect = rows.Dialect(",", quotes=True, multiline=multiline)
        taken: set[tuple[int, str]] = set()
        with suppress(InputBroken):
            for row in rows.read_csv(lines, ["a", "b"], ["a"], dialect):
                if isinstance(row, rows.Row):
                    taken.add((row.line, row.content))
        return taken

    assert found(multiline=False) <= found(multiline=True)


@fuzzed
@given(
    any_text | almost | json_values,
    st.sampled_from(
        [
            "iso",
            "unix",
            "unix-ms",
            "unix-ns",
            "%Z %d",
            "%d.%m.%Y %H:%M",
            "%",
            "%s",
            "%Y%%",
            "%Z",
        ]
    )
    | any_text,
    st.none()
    | st.sampled_from(["Europe/Berlin", "UTC", "/", "", "..", "\0", "a" * 300]),
)
def test_time__is_an_instant_or_a_bad_row(
    value: Any, pattern: str, zone: str | None
) -> None:
    with suppress(BadRow, CannotImport):
        assert times.reader(pattern, zone)(value).tzinfo is UTC


@fuzzed
@given(any_text | st.sampled_from(["{a}", "{{a}}", "{", "}", "%s{a}%", "{a}{b}%%"]))
def test_template__is_filled_or_refused(text: str) -> None:
    with suppress(CannotImport, BadRow, KeyError):
        templates.parse(text).fill({"a": "1", "b": 2})


@fuzzed
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "delta": any_text,
            "time_format": any_text,
            "time_zone": any_text,
            "delimiter": any_text,
            "encoding": any_text | st.sampled_from(["utf-16", "rot13", "zlib", "idna"]),
        },
    )
)
def test_plan__is_made_or_refused(options: dict[str, Any]) -> None:
    with suppress(CannotImport, CountersError):
        Options(file="x.csv", namespace="test", counters=("a",), **options)
