"""What an import counts, and what it knows to be counted already."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from counters.importing import report
from counters.models import Event, Namespace
from counters.partitions import create
from counters.recording import batch
from tests.counters.importing.conftest import (
    HEADER,
    TIMED,
    Counts,
    Run,
    Write,
)


def test_import__counts_csv(run: Run, write: Write, counts: Counts) -> None:
    file = write(
        "2025-03-01T10:00:00Z,a,1",
        "2025-03-01T11:00:00+02:00,b,-2",
        "2025-03-01T10:00:00Z,a,5",
    )

    ran = run(file)

    assert ran.code == 0
    assert counts() == {"a": 6, "b": -2}
    assert set(Event.objects.values_list("event_time", flat=True)) == {
        datetime(2025, 3, 1, 10, tzinfo=UTC),
        datetime(2025, 3, 1, 9, tzinfo=UTC),
    }
    assert (ran.summary["rows"], ran.summary["added"], ran.summary["duplicates"]) == (
        3,
        3,
        0,
    )


def test_import__counts_ndjson(run: Run, write: Write, counts: Counts) -> None:
    file = write(
        '{"at": 1740819000, "name": "a", "amount": 3, "rest": {"deep": [1]}}',
        "",
        '{"amount": "4", "name": "a", "at": "1740819000.25"}',
        name="events.ndjson",
        header="",
    )

    ran = run(file, "--time-format", "unix")

    assert ran.code == 0
    assert counts() == {"a": 7}
    first = Event.objects.order_by("event_time")[0]
    assert first.event_time == datetime(2025, 3, 1, 8, 50, tzinfo=UTC)


def test_import__counts_whole_numbers_with_a_point_in_ndjson(
    run: Run, write: Write, counts: Counts
) -> None:
    file = write(
        *(
            f'{{"at": "2025-03-01T10:00:00Z", "name": {name}, "amount": {amount}}}'
            for name, amount in [
                ('"a"', "5.0"),
                ('"b"', "-1.2e1"),
                ('"c"', "9007199254740991.0"),
                ("1.0", "1"),
            ]
        ),
        name="events.ndjson",
        header="",
    )

    ran = run(file)

    assert ran.code == 0
    # In a name a number stays as it is written.
    assert counts() == {"a": 5, "b": -12, "c": 2**53 - 1, "1.0": 1}


def test_import__twice_counts_once(run: Run, write: Write, counts: Counts) -> None:
    file = write("2025-03-01T10:00:00Z,a,1", "2025-03-01T10:00:00Z,a,1")
    first = run(file)

    second = run(file)

    assert first.summary["added"] == 2
    assert (second.summary["added"], second.summary["duplicates"]) == (0, 2)
    assert second.code == 0
    assert counts() == {"a": 2}


def test_import__grown_file_counts_its_new_rows(
    run: Run, write: Write, counts: Counts
) -> None:
    run(write("2025-03-01T10:00:00Z,a,1"))

    ran = run(write("2025-03-01T10:00:00Z,a,1", "2025-03-01T10:00:00Z,a,1"))

    assert (ran.summary["added"], ran.summary["duplicates"]) == (1, 1)


def test_import__tells_of_a_last_line_without_a_line_end(
    run: Run, write: Write, namespace: Namespace
) -> None:
    """The whole line is another row, so the unfinished one must not pass in silence."""
    file = write("2025-03-01T10:00:00Z,a,5", "2025-03-01T10:00:00Z,a,70")
    assert run(file).summary["unfinished_line"] is None

    file.write_text(file.read_text()[:-2])

    summary = run(file).summary
    assert summary["unfinished_line"] == 3
    assert "Line 3, the last one, has no line end" in report.as_text(
        cast("report.Summary", summary), namespace
    )
    # A key may be what is cut off.
    assert run(file, "--key", "at,amount").summary["unfinished_line"] == 3


def test_import__needs_no_line_end_in_ndjson(run: Run, write: Write) -> None:
    file = write('{"a": 1}', name="events.ndjson", header="")
    file.write_text(file.read_text().rstrip())

    ran = run(file, mapping=("--at", "2025-03-01T10:00:00Z", "--counter", "{a}"))

    assert (ran.summary["added"], ran.summary["unfinished_line"]) == (1, None)


def test_import__other_file_with_same_rows_counts(
    run: Run, write: Write, counts: Counts
) -> None:
    run(write("2025-03-01T10:00:00Z,a,1", name="monday.csv"))

    run(write("2025-03-01T10:00:00Z,a,1", name="tuesday.csv"))

    assert counts() == {"a": 2}


def test_import__same_source_counts_once_whatever_the_name(
    run: Run, write: Write, counts: Counts
) -> None:
    row = "2025-03-01T10:00:00Z,a,1"
    run(write(row, name="one.csv"), "--source", "shop")

    run(write(row, name="two.csv"), "--source", "shop")

    assert counts() == {"a": 1}


ROWS = [f"2025-03-01T10:00:00Z,a,{n}" for n in range(4)]


def test_import__says_that_rows_of_a_pipe_are_known_by_their_lines(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    def told(*options: str) -> str:
        text = io.BytesIO((HEADER + ROWS[0]).encode())
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(text))
        return run("-", *options).err

    assert (
        "An equal row on the same line of another pipe counts as a duplicate" in told()
    )
    assert told("--source", "shop") == ""
    assert told("--key", "at") == ""


def test_import__warns_of_a_log_that_was_rotated(run: Run, write: Write) -> None:
    assert run(write(*ROWS, name="access.log"), "--format", "csv").err == ""

    ran = run(write(*ROWS, name="access.log.1"), "--format", "csv")

    assert "This looks like the name of a rotated log" in ran.err
    assert "'access.log.1'" in ran.err


@pytest.mark.parametrize("batch_rows", ["1", "2", "5000"])
def test_import__tells_of_duplicates_behind_new_rows(
    run: Run, write: Write, batch_rows: str
) -> None:
    """In another host's file of the same name, rows that are equal by chance do not count."""
    run(write(*ROWS))
    other = ["2025-03-01T10:00:00Z,b,1", ROWS[1], "2025-03-01T10:00:00Z,b,3", ROWS[3]]

    merged = run(write(*other), "--batch-rows", batch_rows)
    in_batches = run(write(*ROWS[:2], *other), "--batch-rows", "2")
    grown = run(write(*ROWS, "2025-03-01T10:00:00Z,c,1"))
    by_key = run(write("2025-03-01T10:00:00Z,d,1", *ROWS[:1] * 2), "--key", "at,name")

    assert merged.summary["late_duplicates"] == 2
    assert in_batches.summary["late_duplicates"] == 0
    assert grown.summary["late_duplicates"] == 0
    assert by_key.summary["late_duplicates"] == 0


def test_import__tells_of_them_in_a_batch_with_a_conflict(
    run: Run, write: Write
) -> None:
    rows = [f"2025-03-01T10:00:00Z,{name},1" for name in "bcd"]
    old = ["2025-03-01T10:00:00Z,a,1", "2025-03-01T10:00:00Z,a,2", *rows]
    run(write(*old), mapping=(*TIMED[:2], "--counter", "{name}"))

    ran = run(write("2025-03-01T10:00:00Z,new,1", *old[1:]))

    # Line 3 was counted with delta 1, and would now be 2.
    assert (ran.summary["added"], ran.summary["rejected_rows"]) == (1, 1)
    assert ran.summary["late_duplicates"] == 3


def test_import__records_a_batch_again_that_met_an_unseen_duplicate(
    run: Run, write: Write, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two indexes stand beside each other while one is rebuilt: see counters.recording.duplicates."""
    add_all, failures = batch.add_all, ["one"]

    def fail_once(events: Any) -> Any:
        if failures:
            failures.clear()
            Namespace.objects.create(name="test")
        return add_all(events)

    monkeypatch.setattr(batch, "add_all", fail_once)

    ran = run(write(*ROWS))

    assert (ran.code, ran.summary["added"], counts()) == (0, 4, {"a": 6})
    assert not failures


def test_import__key_lets_rows_move(run: Run, write: Write, counts: Counts) -> None:
    a, b = "2025-03-01T10:00:00Z,a,1", "2025-03-01T10:00:00Z,b,2"
    run(write(a, b), "--key", "at,name")

    ran = run(write(b, a, b, name="other.csv"), "--key", "name,at")

    assert ran.summary["duplicates"] == 3
    assert counts() == {"a": 1, "b": 2}


def test_import__token_column_names_the_event(
    run: Run, write: Write, counts: Counts
) -> None:
    mapping = ("--counter", "c", "--token", "name", "--time", "at")
    file = write(
        "2025-03-01T10:00:00Z,t1,9",
        "2025-03-01T10:00:00Z,t2,9",
        "2025-03-01T10:00:00Z,t1,9",
    )

    ran = run(file, mapping=mapping)

    assert (ran.summary["added"], ran.summary["duplicates"]) == (2, 1)
    assert counts() == {"c": 2}


def test_import__ndjson_may_lack_the_token_like_csv(
    run: Run, write: Write, counts: Counts
) -> None:
    mapping = ("--counter", "c", "--token", "t", "--at", "2025-03-01T10:00:00Z")
    rows = ('{"t": "x"}', '{"t": null}', '{"t": ""}', '{"u": 1}', '{"u": 1}')
    file = write(*rows, name="events.ndjson", header="")

    ran = run(file, mapping=mapping)
    again = run(file, mapping=mapping)

    assert (ran.code, ran.summary["added"]) == (0, 5)
    assert again.summary["duplicates"] == 5
    assert counts() == {"c": 5}


def test_import__ndjson_without_a_token_needs_the_other_columns(
    run: Run, write: Write
) -> None:
    file = write('{"u": 1}', '{"t": "x"}', name="events.ndjson", header="")
    at = ("--at", "2025-03-01T10:00:00Z")

    ran = run(file, mapping=(*at, "--counter", "{t}", "--token", "t", "--delta", "u"))

    assert "line 1: column 't' is empty, so the counter has no name" in ran.err
    assert "line 2: no 'u'; it has 't'" in ran.err


def test_import__several_templates_make_an_event_each(
    run: Run, write: Write, counts: Counts
) -> None:
    mapping = (
        "--time",
        "at",
        "--counter",
        "by/{name}/{amount}",
        "--counter",
        "all {{}} 100%",
    )

    ran = run(write("2025-03-01T10:00:00Z,a,7"), mapping=mapping)

    assert counts() == {"by/a/7": 1, "all {} 100%": 1}
    assert (ran.summary["rows"], ran.summary["added"]) == (1, 2)


def test_import__templates_that_meet_are_two_events(
    run: Run, write: Write, counts: Counts
) -> None:
    row, times = "2025-03-01T10:00:00Z,a,a", ("--time", "at")
    both = (*times, "--counter", "{name}", "--counter", "{amount}")
    run(write(row), mapping=both)

    again = run(write(row), mapping=both)
    alone = run(write(row), mapping=(*times, "--counter", "{amount}"))

    assert counts() == {"a": 2}
    assert again.summary["duplicates"] == 2
    assert alone.summary["duplicates"] == 1


def test_import__without_time_counts_now_and_warns(
    run: Run, write: Write, counts: Counts
) -> None:
    before = datetime.now(UTC)
    file, mapping = write("x,a,1"), ("--counter", "{name}")

    ran = run(file, mapping=mapping)
    again = run(file, mapping=mapping)

    assert Event.objects.get().event_time >= before
    assert "counts once only within" in ran.err
    assert again.summary["duplicates"] == 1


def test_import__goes_by_the_databases_clock(
    real_now: Callable[[], datetime], run: Run, write: Write, counts: Counts
) -> None:
    now, day = real_now(), timedelta(days=1)
    times = {"old": now - 31 * day, "kept": now - 29 * day, "ahead": now + day}
    file = write(*[f"{at.isoformat()},{name},1" for name, at in times.items()])

    ran = run(file)
    run(write("x,undated,1"), mapping=("--counter", "{name}"))

    assert counts() == {"old": 1, "kept": 1, "undated": 1}
    assert ran.summary["older_than_retention"] == 1
    undated = Event.objects.latest("event_time")
    assert abs(undated.event_time - now) < timedelta(minutes=3)


def test_import__at_fixes_one_time(run: Run, write: Write, counts: Counts) -> None:
    mapping = ("--counter", "{name}", "--at", "2025-03-01T00:00:00Z")

    ran = run(write("x,a,1"), mapping=mapping)

    assert Event.objects.get().event_time == datetime(2025, 3, 1, tzinfo=UTC)
    assert ran.err == ""


def test_import__naive_times_take_the_zone(
    run: Run, write: Write, counts: Counts
) -> None:
    file = write("01.07.2025 12:00,a,1")

    run(file, "--time-format", "%d.%m.%Y %H:%M", "--time-zone", "Europe/Berlin")

    assert Event.objects.get().event_time == datetime(2025, 7, 1, 10, tzinfo=UTC)


def test_import__makes_the_partitions_it_needs_and_no_other(
    run: Run, write: Write
) -> None:
    before = {partition.name for partition in create.existing()}
    file = write(
        "2013-01-01T10:00:00Z,a,1",
        "1970-01-01T00:00:00Z,a,1",
        "2013-01-31T23:59:59Z,a,1",
    )

    ran = run(file)

    made = {partition.name for partition in create.existing()} - before
    assert made == {"counters_event_201301", "counters_event_197001"}
    assert ran.summary["partitions_made"] == 2
    assert ran.summary["older_than_retention"] == 3


def test_coverage__asks_once_for_each_day(
    run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime] = []
    make = create.make

    def note(since: datetime, until: datetime) -> list[create.Partition]:
        asked.append(since)
        return make(since, until)

    monkeypatch.setattr("counters.partitions.create.make", note)

    run(
        write(*["2013-01-01T10:00:00Z,a,1", "2013-01-02T10:00:00Z,a,1"] * 5),
        "--batch-rows",
        "2",
    )

    assert asked == [datetime(2013, 1, 1, tzinfo=UTC)]


def test_import__counts_names_that_look_the_same_as_one(
    run: Run, write: Write, counts: Counts
) -> None:
    file = write(
        "2025-03-01T10:00:00Z,caf\u00e9,1",
        "2025-03-01T10:00:00Z,cafe\u0301,2",
        "2025-03-01T10:00:00Z,a\u200bb,4",
    )

    ran = run(file)

    assert ran.code == 1
    assert counts() == {"caf\u00e9": 3}
    assert ran.summary["rejected_rows"] == 1
