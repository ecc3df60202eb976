"""The small parts of an import."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from counters.importing.errors import BadRow, CannotImport
from counters.importing.plan import Plan
from counters.importing.templates import parse
from counters.importing.times import reader


def test_template__fills_columns() -> None:
    template = parse("{a b}%/{{{c}}}")

    assert template.columns == ("a b", "c")
    assert template.fill({"a b": "%s", "c": 7}) == "%s%/{7}"


@pytest.mark.parametrize("text", ["", "{", "a}", "{}", "{a{b}}"])
def test_template__refuses(text: str) -> None:
    with pytest.raises(CannotImport):
        parse(text)


@pytest.mark.parametrize(
    "value", ["", "1e9", "nan", "12345678901234567", "9" * 16, None, True]
)
def test_unix_time__refuses(value: object) -> None:
    with pytest.raises(BadRow):
        reader("unix", None)(value)


def test_unix_time__reads_milliseconds_exactly() -> None:
    assert reader("unix-ms", None)("1740819000123") == datetime(
        2025, 3, 1, 8, 50, 0, 123_000, tzinfo=UTC
    )


def test_plan__digest_is_about_what_rows_become() -> None:
    plan = Plan(file="f", namespace="n", counters=("c",))

    assert plan.digest("1") == replace(plan, batch_rows=9).digest("1")
    assert plan.digest("1") != replace(plan, delta="2").digest("1")
    assert plan.digest("1") != plan.digest("2")
