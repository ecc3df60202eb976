"""The small parts of an import."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from counters.importing import report
from counters.importing.errors import BadRow, CannotImport
from counters.importing.mapping import parse
from counters.importing.options import Options
from counters.importing.resume import Totals
from counters.importing.run import Outcome
from counters.importing.times import reader
from counters.models import Namespace


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


@pytest.mark.parametrize(
    ("time_format", "value"),
    [
        ("unix", "1740819000.123456"),
        ("unix-ms", "1740819000123.456"),
        ("unix-us", "1740819000123456"),
        ("unix-ns", 1740819000123456999),
    ],
)
def test_unix_time__reads_seconds_and_their_parts(
    time_format: str, value: object
) -> None:
    assert reader(time_format, None)(value) == datetime(
        2025, 3, 1, 8, 50, 0, 123_456, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("time_format", "value", "said"),
    [
        (
            "unix-ms",
            "1740819000",
            "read as unix-ms, would be on 1970-01-21; is the unit unix\\?",
        ),
        (
            "unix",
            "1740819000123",
            "read as unix, would be after the year 9999; is the unit unix-ms",
        ),
        ("unix", "1740819000123456", "is the unit unix-us"),
        ("unix-us", "1740819000123456789", "is the unit unix-ns"),
        ("unix-ns", "1740819000123456", "is the unit unix-us"),
        ("unix", "20260302", "read as unix, would be on 1970-08-23$"),
        ("unix", "0", "on 1970-01-01"),
        ("unix", "-1740819000", "on 1914-11-02"),
    ],
)
def test_unix_time__decades_off_is_refused(
    time_format: str, value: str, said: str
) -> None:
    with pytest.raises(BadRow, match=said):
        reader(time_format, None)(value)


def test_zone__in_the_value_wins() -> None:
    read = reader("%Y-%m-%d %H:%M:%S %Z", "Europe/Berlin")

    for zone in ("UTC", "GMT", "utc"):
        assert read(f"2026-05-20 21:34:02 {zone}") == datetime(
            2026, 5, 20, 21, 34, 2, tzinfo=UTC
        )


def test_zone__with_a_name_of_this_host_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A host in Berlin knows CEST, and one in Bogota does not."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        with pytest.raises(BadRow, match="names the zone CEST: give the UTC offset"):
            reader("%Y-%m-%d %H:%M:%S %Z", None)("2026-05-20 21:34:02 CEST")
        both = reader("%Y-%m-%d %H:%M:%S %z %Z", None)("2026-05-20 21:34:02 +0200 CEST")
        assert both == datetime(2026, 5, 20, 19, 34, 2, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-03-29T01:59:59", 0), ("2026-03-29T03:00:00", 1)],
)
def test_local_time__beside_the_hour_that_the_clocks_leave_out(
    text: str, hour: int
) -> None:
    assert reader("iso", "Europe/Berlin")(text).hour == hour


@pytest.mark.parametrize("text", ["2026-03-29T02:00:00", "2026-03-29T02:59:59"])
def test_local_time__that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(BadRow, match="does not exist in Europe/Berlin"):
        reader("iso", "Europe/Berlin")(text)


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-10-25T01:59:59", 23), ("2026-10-25T03:00:00", 2)],
)
def test_local_time__beside_the_hour_that_comes_twice(text: str, hour: int) -> None:
    assert reader("iso", "Europe/Berlin")(text).hour == hour


@pytest.mark.parametrize("text", ["2026-10-25T02:00:00", "2026-10-25T02:59:59"])
def test_local_time__that_comes_twice_is_refused(text: str) -> None:
    said = r"happens twice in Europe/Berlin, at \+0200 and \+0100: give the UTC offset"
    with pytest.raises(BadRow, match=said):
        reader("iso", "Europe/Berlin")(text)
    assert reader("iso", "Europe/Berlin")(f"{text}+01:00").hour == 1


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("%d.%m.%y %I:%M %p %%", "01.03.25 02:30 PM %"),
        ("%Y-%jT%H%M%S.%f%z", "2025-060T143000.5+0000"),
        ("%G-W%V-%u %H:%M", "2025-W09-6 14:30"),
        ("%a %b %d %H:%M:%S %Z %Y", "Sat Mar 01 14:30:00 UTC 2025"),
    ],
)
def test_pattern__that_can_read_a_time_is_taken(pattern: str, text: str) -> None:
    zone = None if "z" in pattern.lower() else "UTC"

    read = reader(pattern, zone)(text)

    assert (read.date(), read.hour, read.minute) == (date(2025, 3, 1), 14, 30)


@pytest.mark.parametrize(
    ("number", "late", "old"),
    [
        (1, "1 duplicate came after", "1 event older than"),
        (2, "2 duplicates came after", "2 events older than"),
    ],
)
def test_summary__counts_one_in_the_singular(number: int, late: str, old: str) -> None:
    options = Options(file="f", namespace="n", counters=("c",))
    totals = Totals(rows=number, late_duplicates=number, older_than_retention=number)
    summary = report.summarise(options, Outcome(totals, None, 0, None))

    said = report.as_text(summary, Namespace(name="n"))

    assert late in said
    assert old in said
    assert "Such an event counts, but" in said


def test_plan__digest_is_about_what_rows_become() -> None:
    options = Options(file="f", namespace="n", counters=("c",))

    assert options.digest("1") == replace(options, batch_rows=9).digest("1")
    assert options.digest("1") != replace(options, delta="2").digest("1")
    assert options.digest("1") != options.digest("2")
