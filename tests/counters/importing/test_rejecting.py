"""Bad rows: which, why, on which line, and how they come back corrected."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from counters.importing import report
from counters.importing.options import Options
from counters.importing.resume import Totals
from counters.importing.run import Outcome
from counters.models import Namespace
from tests.counters.importing.conftest import (
    HEADER,
    TIMED,
    Counts,
    Run,
    Write,
    lines_rejected,
)


def test_import__rejects_each_bad_row_with_its_line(
    run: Run, write: Write, counts: Counts
) -> None:
    future = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    file = write(
        "2025-03-01T10:00:00Z,good,1",  # line 2
        "2025-03-01T10:00:00Z,a",
        "2025-03-01T10:00:00Z,a,1,more",
        "2025-03-01T10:00:00Z,a,3.0",
        "2025-03-01T10:00:00Z,,1",
        "",
        "yesterday,a,1",  # line 8
        "2025-03-01T10:00:00,a,1",
        "1969-12-31T23:59:59Z,a,1",
        f"{future},a,1",
        "2025-03-01T10:00:00Z,a\0b,1",
        f"2025-03-01T10:00:00Z,{'n' * 201},1",
        f"2025-03-01T10:00:00Z,a,{2**63}",
        '2025-03-01T10:00:00Z,"a"b,1',
        "2025-03-01T10:00:00Z,good,10",  # line 16
    )

    ran = run(file)

    assert ran.code == 1
    assert counts() == {"good": 11}
    assert ran.summary["rejected_rows"] == 12
    assert [line.partition(",")[0] for line in lines_rejected(file)] == [
        "_row",
        *(f"events.csv:{line}" for line in (3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15)),
    ]
    assert "line 3: 2 columns, but the header has 3" in ran.err
    assert (
        "line 5: delta: column 'amount' holds '3.0'. Write a whole number from"
        in ran.err
    )
    assert "line 9: time '2025-03-01T10:00:00' has no UTC offset" in ran.err
    assert "More rejected rows: see" in ran.err


@pytest.mark.parametrize(
    "amount", ["1.5", '"1.0"', "9007199254740992.0", "1e400", "1e-400", "9" * 5_000]
)
@pytest.mark.parametrize("name", ["events.csv", "events.ndjson"])
def test_import__a_delta_that_is_no_exact_whole_number_is_rejected(
    run: Run, write: Write, counts: Counts, amount: str, name: str
) -> None:
    file = (
        write(f"2025-03-01T10:00:00Z,a,{amount}", name=name)
        if name == "events.csv"
        else write(
            f'{{"at": "2025-03-01T10:00:00Z", "name": "a", "amount": {amount}}}',
            name=name,
            header="",
        )
    )

    ran = run(file)

    assert (ran.code, counts()) == (1, {})
    assert f"Write a whole number from -{2**63} to {2**63 - 1}, in digits" in ran.err


def test_import__ndjson_with_a_key_twice_is_rejected(
    run: Run, write: Write, counts: Counts
) -> None:
    file = write(
        '{"at": "2025-03-01T10:00:00Z", "name": "a", "amount": 1, "name": "b"}',
        name="events.ndjson",
        header="",
    )

    ran = run(file)

    assert (ran.code, counts()) == (1, {})
    assert "line 1: not JSON: 'name' is given twice in one object" in ran.err


def test_import__line_numbers_pass_quoted_newlines(
    run: Run, write: Write, counts: Counts
) -> None:
    file = write(
        '2025-03-01T10:00:00Z,a,"1', '"', '2025-03-01T10:00:00Z,"b', ' c",x', "bad,a,1"
    )

    ran = run(file, "--multiline")

    assert "line 4: " in ran.err
    assert "line 6: " in ran.err
    assert ran.summary["rejected_rows"] == 2
    assert counts() == {"a": 1}
    assert lines_rejected(file)[1].endswith('2025-03-01T10:00:00Z,"b')


def test_import__open_quote_of_a_multiline_file_ends_with_the_field_limit(
    run: Run, write: Write, counts: Counts
) -> None:
    good = ["2025-03-01T10:00:00Z,good,1"] * 10_000
    file = write('2025-03-01T10:00:00Z,"open,1', *good)

    ran = run(file, "--multiline")

    assert "is a quote left open? (it goes up to line " in ran.err
    assert ran.summary["rejected_rows"] == 1
    assert counts()["good"] > 4_000


# A word that begins with a quote, and one that ends with one two lines below.
STRAY = ('en "Heroes" 5', 'en "Heroes 6', "en Tom 7", 'en Foo" 8', "en Z 9")
BY_BLANKS = ("--delimiter", " ")
VIEWS = ("--at", "2025-03-01T00:00:00Z", "--counter", "{title}", "--delta", "views")


def test_import__quotes_can_be_off(run: Run, write: Write, counts: Counts) -> None:
    file = write(*STRAY, 'en" Bar x', header="project title views\n")
    # Not even the quotes that begin the source's name and end the project mean anything.
    options = (*BY_BLANKS, "--no-quotes", "--source", '"wiki')

    ran = run(file, *options, mapping=VIEWS)
    rejects = Path(f"{file}.rejects")
    again = run(rejects, *options, mapping=VIEWS)
    rejects.write_text(rejects.read_text().replace("Bar x", "Bar 3"))
    corrected = run(rejects, *options, mapping=VIEWS)

    assert (ran.summary["added"], ran.summary["rejected_rows"]) == (5, 1)
    assert (again.summary["rows"], again.summary["rejected_rows"]) == (1, 1)
    rejected_twice = Path(f"{rejects}.rejects.old").read_text()
    assert rejected_twice.replace("x", "3") == rejects.read_text().replace("x", "3")
    assert corrected.summary["added"] == 1
    assert counts() == {
        '"Heroes"': 5,
        '"Heroes': 6,
        "Tom": 7,
        'Foo"': 8,
        "Z": 9,
        "Bar": 3,
    }


def test_import__empty_key_is_rejected(run: Run, write: Write, counts: Counts) -> None:
    row = "2025-03-01T10:00:00Z,{},1"
    file = write(*[row.format(name) for name in ("", "a", "")])

    ran = run(file, "--key", "name", mapping=("--time", "at", "--counter", "c"))

    assert ran.summary["rejected_rows"] == 2
    assert "line 2: key column 'name' is empty" in ran.err
    assert counts() == {"c": 1}


@pytest.mark.parametrize("option", ["--key", "--token"])
def test_import__blank_key_or_token_is_rejected(
    run: Run, write: Write, counts: Counts, option: str
) -> None:
    file = write(" ,1", " ,2", "\u00a0,3", "x,4", header="id,n\n")
    mapping = ("--at", "2025-03-01T10:00:00Z", "--counter", "c", option, "id")

    ran = run(file, mapping=mapping)

    assert (ran.code, ran.summary["rejected_rows"]) == (1, 3)
    assert counts() == {"c": 1}


@pytest.mark.parametrize("option", ["--key", "--token"])
@pytest.mark.parametrize("value", ['"  "', "true", '{"a": 1}', "[1]"])
def test_import__json_that_is_no_key_or_token_is_rejected(
    run: Run, write: Write, value: str, option: str
) -> None:
    file = write(f'{{"id": {value}}}', name="events.ndjson", header="")
    mapping = ("--at", "2025-03-01T10:00:00Z", "--counter", "c", option, "id")

    ran = run(file, mapping=mapping)

    assert (ran.summary["added"], ran.summary["rejected_rows"]) == (0, 1)


def test_import__blanks_around_a_part_of_a_name_are_rejected(
    run: Run, write: Write, counts: Counts
) -> None:
    file = write(
        " Oslo,tea", "Oslo,tea", "Oslo ,tea", "Oslo, tea", header="shop,item\n"
    )
    mapping = ("--at", "2025-03-01T10:00:00Z", "--counter", "sp/{shop}/{item}/sold")

    ran = run(file, mapping=mapping)

    assert ran.summary["rejected_rows"] == 3
    assert "line 2: column 'shop' holds ' Oslo'; remove the blanks around it" in ran.err
    assert counts() == {"sp/Oslo/tea/sold": 1}


def test_import__null_key_is_rejected(run: Run, write: Write, counts: Counts) -> None:
    file = write('{"id": null}', '{"id": 0}', name="events.ndjson", header="")
    mapping = ("--at", "2025-03-01T10:00:00Z", "--counter", "c", "--key", "id")

    ran = run(file, mapping=mapping)

    assert (ran.summary["added"], ran.summary["rejected_rows"]) == (1, 1)


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("ma\u0142y.csv", "latin-1"),
        ("m\udce4r.csv", "utf-8"),
        ("m\udce4r.csv", "latin-1"),
    ],
    ids=["not in the encoding", "no text", "no text in the encoding"],
)
def test_import__name_that_the_encoding_lacks_holds_up_no_row(
    run: Run, write: Write, counts: Counts, name: str, encoding: str
) -> None:
    file = write("bad,a,1", "2025-03-01T10:00:00Z,a,2", name=name)
    options = ("--encoding", encoding)

    ran = run(file, *options)
    rejects = Path(f"{file}.rejects")
    rejects.write_bytes(
        rejects.read_bytes().replace(b"bad,a", b"2025-03-01T10:00:00Z,a")
    )
    corrected = run(rejects, *options)

    assert (ran.summary["added"], ran.summary["rejected_rows"]) == (1, 1)
    assert (corrected.code, corrected.summary["added"]) == (0, 1)
    at_home = run(write("2025-03-01T10:00:00Z,a,1", name=name), *options)
    assert at_home.summary["duplicates"] == 1


def test_import__reason_may_quote_what_the_encoding_lacks(
    run: Run, write: Write, tmp_path: Path
) -> None:
    file = write(f"2025-03-01T10:00:00Z,{'n' * 201},1")
    mapping = ("--time", "at", "--counter", "ma\u0142y/{name}")

    ran = run(file, "--encoding", "latin-1", mapping=mapping)

    assert (ran.code, ran.summary["rejected_rows"]) == (1, 1)
    assert b"ma\\u0142y/" in Path(f"{file}.rejects").read_bytes()


def test_import__rejects_bytes_that_are_no_text(
    run: Run, tmp_path: Path, counts: Counts
) -> None:
    file = tmp_path / "events.csv"
    bad = b"2025-03-01T10:00:00Z,Troms\xf8,1\n"
    file.write_bytes(
        b"\xef\xbb\xbf" + HEADER.encode() + bad + b"2025-03-01T10:00:00Z,a,1\n"
    )

    ran = run(file)

    assert "line 2: byte 0xf8 at place 27 of the line is not utf-8" in ran.err
    assert counts() == {"a": 1}
    assert Path(f"{file}.rejects").read_bytes().endswith(bad)


def test_import__other_encodings_are_read(
    run: Run, tmp_path: Path, counts: Counts
) -> None:
    file = tmp_path / "events.csv"
    file.write_bytes(b"at;name;amount\r\n2025-03-01T10:00:00Z;Troms\xf8;1\r\n")

    run(file, "--encoding", "latin-1", "--delimiter", ";")

    assert counts() == {"Tromsø": 1}


def test_import__rejects_bad_json_lines(run: Run, write: Write, counts: Counts) -> None:
    file = write(
        '{"at": "2025-03-01T10:00:00Z", "name": "a", "amount": 1}',
        "{not json",
        "[1]",
        '{"at": "2025-03-01T10:00:00Z", "amount": 1}',
        '{"at": "2025-03-01T10:00:00Z", "name": ["a"], "amount": 1}',
        '{"at": "2025-03-01T10:00:00Z", "name": "a", "amount": 1.5}',
        '{"at": "2025-03-01T10:00:00Z", "name": "a", "amount": NaN}',
        '{"at": "2025-03-01T10:00:00Z", "name": "a", "amount": true}',
        "[" * 100_000,
        "{}",
        name="events.jsonl",
        header="",
    )

    ran = run(file)

    assert ran.summary["rejected_rows"] == 9
    assert counts() == {"a": 1}
    assert json.loads(lines_rejected(file)[-1])["_row"] == "events.jsonl:10"


def test_import__corrected_rejects_count_once(
    run: Run, write: Write, counts: Counts
) -> None:
    good, bad = "2025-03-01T10:00:00Z,a,1", "2025-03-01T10:00:00Z,a,one"
    file = write(good, bad, bad)
    run(file)
    rejects = Path(f"{file}.rejects")
    rejects.write_text(rejects.read_text().replace("a,one", "a,1"))

    first = run(rejects)
    again = run(rejects)
    corrected_at_home = run(write(good, good, good))

    assert (first.code, first.summary["added"]) == (0, 2)
    assert again.summary["duplicates"] == 2
    assert corrected_at_home.summary["duplicates"] == 3
    assert counts() == {"a": 3}


@pytest.mark.parametrize("name", ["events.csv", "events.ndjson"])
def test_import__rejects_of_rejects_keep_their_place(
    run: Run, write: Write, name: str
) -> None:
    options: tuple[str, ...] = ()
    if name == "events.csv":
        file = write(
            "2025-03-01T10:00:00Z,a,one", "2025-03-01T10:00:00Z,a", 'bad,"a\nb",1'
        )
        options = ("--multiline",)
    else:
        file = write('{"name": "\\"}a", "amount": 1}', "{}", name=name, header="")
    run(file, *options)
    rejects = Path(f"{file}.rejects")

    ran = run(rejects, *options)

    assert ran.code == 1
    assert Path(f"{rejects}.rejects").read_text() == rejects.read_text()


def test_import__earlier_rejects_are_set_aside(run: Run, write: Write) -> None:
    file = write("bad,a,1")
    run(file)
    kept = lines_rejected(file)

    run(write("2025-03-01T10:00:00Z,a,1"))

    assert not Path(f"{file}.rejects").exists()
    assert Path(f"{file}.rejects.old").read_text().splitlines() == kept


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("batch_rows", ["1", "2", "3", "5000"])
def test_import__stops_at_max_rejects(
    run: Run, write: Write, counts: Counts, batch_rows: str
) -> None:
    good = "2025-03-01T10:00:00Z,a,1"
    file = write(good, "bad,a,1", good, "", "bad,a,1", good, "bad,a,1", good)
    options = ("--batch-rows", batch_rows)

    ran = run(file, "--max-rejects", "1", *options)
    counted = counts()
    again = run(file, "--max-rejects", "1", *options)
    counted_again = counts()
    went_on = run(file, "--max-rejects", "3", *options)

    for stopped in (ran, again):
        assert stopped.code == 1
        assert (stopped.summary["rows"], stopped.summary["rejected_rows"]) == (4, 2)
        assert stopped.summary["complete"] is False
        assert stopped.summary["stopped_after_line"] == 6
    assert counted == counted_again == {"a": 2}
    assert "Continuing after line 6" in went_on.err
    assert (went_on.summary["rows"], went_on.summary["rejected_rows"]) == (7, 3)
    assert (went_on.summary["complete"], counts()) == (True, {"a": 4})
    assert len(lines_rejected(file)) == 4


def test_import__max_rejects_of_a_dry_run_counts_nothing(
    run: Run, write: Write, counts: Counts
) -> None:
    good = "2025-03-01T10:00:00Z,a,1"

    ran = run(write(good, "bad,a,1", good), "--max-rejects", "0", "--dry-run")

    assert (ran.summary["rows"], ran.summary["events"], counts()) == (2, 1, {})


@pytest.mark.parametrize("is_dry", [False, True])
def test_summary__says_where_max_rejects_stopped(is_dry: bool) -> None:
    options = Options(file="f", namespace="n", counters=("c",), dry_run=is_dry)
    summary = report.summarise(options, Outcome(Totals(rows=4), 1_234, 0, None))

    said = report.as_text(summary, Namespace(name="n"))

    assert "Stopped at --max-rejects: the rows after line 1,234 were not read." in said
    assert ("The good rows up to it are counted." in said) is not is_dry


@pytest.mark.django_db(transaction=True)
def test_import__conflicting_rows_do_not_hold_up_the_rest(
    run: Run, write: Write, counts: Counts
) -> None:
    rows = [f"2025-03-01T10:00:00Z,n{n},1" for n in range(20)]
    run(write(*rows), "--key", "name")
    rows[3], rows[17] = "2025-03-01T10:00:00Z,n3,5", "2025-03-01T10:00:00Z,n17,5"
    rows += ["2025-03-01T10:00:00Z,new,1", "2025-03-01T10:00:00Z,new,2"]
    file = write(*rows)

    ran = run(file, "--key", "name")

    assert ran.code == 1
    assert (ran.summary["added"], ran.summary["duplicates"]) == (1, 18)
    assert counts() == {f"n{n}": 1 for n in range(20)} | {"new": 1}
    assert "line 5: " in ran.err
    assert "already used on this counter with delta 1" in ran.err
    assert [line.partition(",")[0] for line in lines_rejected(file)] == [
        "_row",
        "events.csv:5",
        "events.csv:19",
        "events.csv:23",
    ]


@pytest.mark.django_db(transaction=True)
def test_import__nothing_but_conflicts(run: Run, write: Write, counts: Counts) -> None:
    file = write(*["2025-03-01T10:00:00Z,a,1"] * 50)
    run(file, mapping=(*TIMED[:2], "--counter", "{name}"))

    ran = run(file, mapping=(*TIMED[:2], "--counter", "{name}", "--delta", "2"))

    assert ran.summary["rejected_rows"] == 50
    assert counts() == {"a": 50}
