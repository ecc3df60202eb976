"""A quote that its line does not close: no part of its row counts as another row."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from counters.importing import write as writing
from counters.importing.errors import QuoteOpen
from counters.importing.input import LINE_BYTES, Lines
from counters.importing.rows import Dialect, Row, Unreadable, read_csv
from counters.models import ImportProgress
from tests.counters.importing.conftest import Counts, Run, Write, lines_rejected

BROKEN = ('1,"foo', 'bar,baz",5', "2,ok,7", '3,"a', '4,b",9')
BY_ID = ("--at", "2025-03-01T00:00:00Z", "--counter", "ml/{id}", "--delta", "n")
TOTALS = {"ml/1": 5, "ml/2": 7, "ml/3": 9}
ID_HEADER = "id,comment,n\n"


def test_import__counts_no_part_of_a_row_with_a_line_break(
    run: Run, write: Write, counts: Counts
) -> None:
    file = write(*BROKEN, header=ID_HEADER)

    first = run(file, mapping=BY_ID)
    counted_first = counts()
    second = run(file, "--multiline", mapping=BY_ID)

    assert (first.code, counted_first) == (1, {"ml/2": 7})
    assert (first.summary["rows"], first.summary["rejected_rows"]) == (3, 2)
    said = "line 5: a quote is not closed on its line; the row goes up to line 6. If"
    assert said in first.err
    assert "--no-quotes" in first.err
    assert "--multiline" in first.err
    assert (second.summary["added"], second.summary["duplicates"]) == (2, 1)
    assert counts() == TOTALS


def test_import__takes_rejected_rows_with_line_breaks_from_the_rejects_file(
    run: Run, write: Write, counts: Counts
) -> None:
    file = write(*BROKEN, header=ID_HEADER)
    run(file, mapping=BY_ID)
    rejects = Path(f"{file}.rejects")
    # Without --multiline again: the rows keep their places.
    again = run(rejects, mapping=BY_ID)
    rejects_again = Path(f"{rejects}.rejects")
    texts = rejects.read_text(), rejects_again.read_text()

    ran = run(rejects_again, "--multiline", mapping=BY_ID)
    original = run(file, "--multiline", mapping=BY_ID)

    assert again.summary["rejected_rows"] == 2
    places = ["events.csv:2", "events.csv:5"]
    assert all(
        re.findall(r"^events.csv:.", text, re.MULTILINE) == places for text in texts
    )
    assert (ran.code, ran.summary["added"]) == (0, 2)
    assert original.summary["duplicates"] == 3
    assert counts() == TOTALS


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("batches", range(1, 5))
def test_import__resumes_behind_the_whole_row(
    run: Run,
    write: Write,
    counts: Counts,
    monkeypatch: pytest.MonkeyPatch,
    batches: int,
) -> None:
    file = write("0,x,1", *BROKEN, "5,y,2", header=ID_HEADER)
    interrupt(monkeypatch, in_batch=batches)

    stopped = run(file, "--batch-rows", "1", mapping=BY_ID)
    went_on = run(file, "--batch-rows", "1", mapping=BY_ID)

    assert stopped.code == 130
    assert (went_on.summary["rows"], went_on.summary["rejected_rows"]) == (5, 2)
    assert counts() == {"ml/0": 1, "ml/2": 7, "ml/5": 2}


def interrupt(monkeypatch: pytest.MonkeyPatch, *, in_batch: int) -> None:
    """Press Ctrl-C once, in this batch, before it is committed."""
    write_batch: Callable[..., Any] = writing.write
    number = 0

    def write_and_stop(*args: Any) -> Any:
        nonlocal number
        number += 1
        if number == in_batch:
            raise KeyboardInterrupt
        return write_batch(*args)

    monkeypatch.setattr("counters.importing.write.write", write_and_stop)


@pytest.mark.parametrize("rows_after", [10, 1_200])
@pytest.mark.parametrize("options", [(), ("--batch-rows", "1")], ids=" ".join)
def test_import__stops_at_a_quote_that_no_line_closes(
    run: Run,
    write: Write,
    counts: Counts,
    rows_after: int,
    options: tuple[str, ...],
) -> None:
    good = ["2,after,1"] * rows_after
    file = write("0,x,1", "0,x,z", "1,y,2", '2,"open,1', *good, header=ID_HEADER)

    with pytest.raises(CommandError) as stopped:
        run(file, *options, mapping=BY_ID)
    with pytest.raises(CommandError) as again:
        run(file, *options, mapping=BY_ID)

    assert stopped.value.returncode == 1
    last_read = min(5 + rows_after, 1_005)
    said = (
        "The import stopped at line 5: a quote is not closed up to line"
        f" {last_read:,}. If values contain line breaks, give --multiline; if quotes are"
        " ordinary characters in this file, give --no-quotes.\n"
        "Everything up to line 4 is counted, and does not count again with --multiline."
    )
    assert said in str(stopped.value)
    assert said in str(again.value)
    assert counts() == {"ml/0": 1, "ml/1": 2}
    assert len(lines_rejected(file)) == 2
    assert ImportProgress.objects.get().place["line"] == 4


def test_import__a_stopped_dry_run_has_counted_nothing(run: Run, write: Write) -> None:
    file = write("0,x,1", '2,"open,1', header=ID_HEADER)

    with pytest.raises(CommandError, match="Nothing was written"):
        run(file, "--dry-run", mapping=BY_ID)


def test_import__a_row_that_begins_with_a_stray_quote_ends_where_the_parser_ends_it(
    run: Run, write: Write, counts: Counts
) -> None:
    # A word begins with a quote, and one that ends with one stands two lines below.
    file = write(
        'en "Heroes" 5',
        'en "Heroes 6',
        "en Tom 7",
        'en Foo" 8',
        'en 5" 1',
        "en Z 9",
        header="project title views\n",
    )
    views = ("--at", "2025-03-01T00:00:00Z", "--counter", "{title}")

    ran = run(file, "--delimiter", " ", mapping=(*views, "--delta", "views"))

    assert (ran.code, ran.summary["rejected_rows"]) == (1, 1)
    assert counts() == {"Heroes": 5, '5"': 1, "Z": 9}


LONG = "x" * (LINE_BYTES + 10)
FIELD = "x" * 200_000


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((f'1,"{FIELD}",1', "2,b,2"), ["bad 1", "2"]),
        ((f'1,"{FIELD}', 'b,c",1', "2,b,2"), ["bad 1", "2"]),
        ((f'1,"{LONG}",1', "2,b,2"), ["bad 1", "2"]),
        ((f'1,{LONG},"a', 'b,c",1', "2,b,2"), ["bad 1", "2"]),
        ((f'1,"{LONG}', "2,b,2"), ["stop"]),
        (('1,"a', f'{LONG}",1', "2,b,2"), ["stop"]),
        (('1,"a"b,1', "2,b,2"), ["bad 1", "2"]),
        (('1,"a', 'b"c,1', "2,b,2"), ["bad 1", "2"]),
    ],
)
def test_csv__of_a_row_that_is_too_long_or_damaged_nothing_counts(
    lines: tuple[str, ...], expected: list[str]
) -> None:
    found = []
    content = "".join(f"{line}\n" for line in lines).encode()
    read = read_csv(
        Lines(io.BytesIO(content), "utf-8"),
        ["id", "comment", "n"],
        ["id"],
        Dialect(",", quotes=True, multiline=False),
    )
    try:
        for row in read:
            if isinstance(row, Unreadable):
                found.append(f"bad {row.line}")
            elif isinstance(row, Row):
                found.append(row.values["id"])
    except QuoteOpen:
        found.append("stop")

    assert found == expected
