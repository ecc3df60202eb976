"""Where an import reads from, and what stops it before the first row."""

from __future__ import annotations

import gzip
import io
import os
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import CommandError

from counters.importing.input import Lines, opened
from counters.importing.options import Options
from counters.models import CounterType, Namespace
from counters.namespaces import lookup
from tests.counters.importing.conftest import (
    HEADER,
    Counts,
    Run,
    Write,
    lines_rejected,
)


def test_import__reads_gz_as_the_same_file(
    run: Run, write: Write, counts: Counts
) -> None:
    file = write("2025-03-01T10:00:00Z,a,1")
    run(file)
    packed = Path(f"{file}.gz")
    packed.write_bytes(gzip.compress(file.read_bytes()))

    ran = run(packed)

    assert (ran.summary["rows"], ran.summary["duplicates"]) == (1, 1)


def test_import__reads_zip_with_one_member(
    run: Run, tmp_path: Path, counts: Counts
) -> None:
    file = tmp_path / "events.csv.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("events.csv", HEADER + "2025-03-01T10:00:00Z,a,1\n")

    run(file)

    assert counts() == {"a": 1}


def test_import__refuses_zip_with_two_members(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "events.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.csv", HEADER)
        archive.writestr("b.csv", HEADER)

    with pytest.raises(CommandError, match="2 members"):
        run(file)


def test_import__reads_stdin(
    run: Run, counts: Counts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = HEADER + "2025-03-01T10:00:00Z,a,1\nbad,a,1\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    monkeypatch.chdir(tmp_path)

    ran = run("-")

    assert counts() == {"a": 1}
    assert (ran.code, ran.summary["rejects_file"]) == (1, "stdin.rejects")
    assert [file.name for file in tmp_path.iterdir()] == ["stdin.rejects"]


@pytest.mark.parametrize("rows", [3, 5_000])
def test_import__reads_a_named_pipe_like_stdin(
    run: Run,
    counts: Counts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: int,
) -> None:
    """A pipe must be opened once, because the data read from it are gone."""
    monkeypatch.chdir(tmp_path)
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    text = HEADER + "2025-03-01T10:00:00Z,a,1\n" * rows + "bad,a,1\n"
    # A daemon, because it would never end if no reader comes.
    threading.Thread(target=pipe.write_text, args=[text], daemon=True).start()
    ran = run(pipe)

    assert counts() == {"a": rows}
    assert (ran.summary["rows"], ran.summary["rejects_file"]) == (
        rows + 1,
        "stdin.rejects",
    )
    assert lines_rejected(Path("stdin"))[1].startswith(f"stdin:{rows + 2},")


def test_pipe__has_no_size_and_no_place_to_compare_with_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_text, args=[HEADER], daemon=True).start()

    with opened(Options(file=str(pipe), namespace="test", counters=("c",))) as source:
        assert (source.size, source.bytes_read()) == (None, 0)


def test_stdin__gives_the_rows_that_a_slow_producer_has_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = "2025-03-01T10:00:00Z,a,1\n"

    def read_lines() -> list[str]:
        with opened(Options(file="-", namespace="test", counters=("c",))) as source:
            lines = Lines(source.stream, "utf-8")
            return [next(lines), next(lines)]

    reading, writing = os.pipe()
    # The producer is closed before the thread is joined, so that no failure hangs.
    with (
        ThreadPoolExecutor(max_workers=1) as thread,
        os.fdopen(reading, "rb") as stdin,
        os.fdopen(writing, "wb", buffering=0) as producer,
    ):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stdin))
        producer.write((HEADER + row).encode())

        assert thread.submit(read_lines).result(timeout=20) == [HEADER, row]


def test_import__broken_gz_says_how_far_it_came(
    run: Run, tmp_path: Path, counts: Counts
) -> None:
    rows = "".join(f"2025-03-01T10:00:00Z,a{n},{n}\n" for n in range(5_000))
    file = tmp_path / "events.csv.gz"
    file.write_bytes(gzip.compress((HEADER + rows).encode())[:-2_000])

    with pytest.raises(CommandError, match=r"was interrupted.*\n.*up to line [1-9]"):
        run(file, "--batch-rows", "10")


@pytest.mark.parametrize("rows", [1, 5_000])
def test_import__gz_with_extra_bytes_says_so(
    run: Run, tmp_path: Path, rows: int
) -> None:
    file = tmp_path / "events.csv.gz"
    content = HEADER + "2025-03-01T10:00:00Z,a,1\n" * rows
    file.write_bytes(gzip.compress(content.encode()) + b"junk")

    with pytest.raises(CommandError, match="extra bytes after its gzip data") as ended:
        run(file)

    assert ended.value.returncode == 1
    assert "Unpack it with gzip -d" in str(ended.value)
    assert "Not a gzipped file" not in str(ended.value)
    assert "after line" not in str(ended.value)


def test_import__carriage_returns_as_line_ends_are_explained(
    run: Run, tmp_path: Path
) -> None:
    file, lines = tmp_path / "events.csv", tmp_path / "events.ndjson"
    file.write_bytes(HEADER.replace("\n", "\r").encode() + b"2025-03-01T10:00Z,a,1\r")
    lines.write_bytes(b'{"name": "a"}\r{"name": "b"}\r')

    with pytest.raises(CommandError, match=r"header cannot be read: a carriage") as csv:
        run(file)
    ndjson = run(lines, mapping=("--counter", "{name}"))
    # With one line end, it is not the header that has them.
    file.write_bytes(HEADER.encode() + b"2025-03-01T10:00Z,a,1\r" * 2)
    row = run(file)

    for said in (str(csv.value), ndjson.err, row.err):
        assert r"tr '\r' '\n' < FILE" in said
    assert csv.value.returncode == 2


def test_import__header_with_an_open_quote_is_explained(run: Run, write: Write) -> None:
    with pytest.raises(CommandError, match=r"a quote is not closed.*--multiline"):
        run(write(header='a,"b\nc"\n'))


@pytest.mark.parametrize("name", ["events.csv.gz", "events.gz"])
def test_import__gz_that_ends_before_its_first_line_is_refused(
    run: Run, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.write_bytes(gzip.compress(HEADER.encode())[:12])

    with pytest.raises(
        CommandError, match=r"cannot begin: after line 0: .*end"
    ) as broken:
        run(file)

    assert broken.value.returncode == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "UTF_8_SIG", "utf-8"])
def test_import__reads_a_byte_order_mark(
    run: Run, write: Write, counts: Counts, encoding: str
) -> None:
    file = write("2025-03-01T10:00:00Z,a,1", header=f"\ufeff{HEADER}")

    assert run(file, "--encoding", encoding).code == 0
    assert counts() == {"a": 1}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--counter", "{nme}"),
            r"no column 'nme'. The columns are: 'at', 'name', 'amount'\.",
        ),
        (("--counter", "{name"), r"single '\{'"),
        (("--counter", "{}"), r"single '\{'"),
        (("--counter", "{name}", "--counter", "{name}"), "'{name}' is given twice"),
        (("--counter", "a", "--source", ""), "--source is empty"),
        (("--counter", "a", "--time-zone", "Mars/Base"), "Mars/Base"),
        (("--counter", "a", "--time-format", "rfc"), "is unknown. Use iso"),
        (("--counter", "a", "--encoding", "utf-16"), "iconv"),
        (("--counter", "a", "--encoding", "nope"), "not known"),
        (("--counter", "a", "--encoding", "idna"), "not an encoding of files"),
        (("--counter", "a", "--encoding", "Punycode"), "not an encoding of files"),
        (("--counter", "a", "--encoding", "undefined"), "not an encoding of files"),
        (("--counter", "a", "--time-format", "%Q"), "'Q' is a bad directive"),
        (("--counter", "a", "--time-format", "%d %d"), "'%d %d' cannot read"),
        (("--counter", "a", "--time-format", "%G-%m"), "'%G-%m' cannot read"),
        (("--counter", "a", "--time-format", "100%"), "'100%' cannot read"),
        (("--counter", "a", "--delimiter", ";;"), "not one character"),
        (("--counter", "a", "--delimiter", ";"), "--delimiter ','"),
        (
            ("--counter", "a", "--time-format", "unix", "--time-zone", "UTC"),
            "--time-zone is not for Unix times",
        ),
        (("--counter", "a", "--at", "2025-03-01T00:00:00Z"), "exclude each other"),
        (("--counter", "a", "--no-quotes", "--multiline"), "cannot be used together"),
    ],
)
def test_import__wrong_options_are_named(
    run: Run, write: Write, options: tuple[str, ...], said: str
) -> None:
    file = write("2025-03-01T10:00:00Z,a,1")

    with pytest.raises(CommandError, match=said) as refused:
        run(file, mapping=(*options, "--time", "at"))

    assert refused.value.returncode == 2


@pytest.mark.parametrize(
    ("option", "value"), [("--time-zone", "Mars/X"), ("--time-format", "bogus")]
)
def test_import__options_of_a_time_need_one(
    run: Run, write: Write, option: str, value: str
) -> None:
    with pytest.raises(CommandError, match=f"{option} needs --time") as refused:
        run(write(), option, value, mapping=("--counter", "a"))

    assert refused.value.returncode == 2


@pytest.mark.parametrize(
    "option", [("--delimiter", ";"), ("--no-quotes",), ("--multiline",)], ids=" ".join
)
def test_import__options_of_csv_are_refused_for_ndjson(
    run: Run, write: Write, option: tuple[str, ...]
) -> None:
    file = write('{"a": 1}', name="events.ndjson", header="")

    with pytest.raises(CommandError, match=f"{option[0]} is for CSV") as refused:
        run(file, *option, mapping=("--counter", "{a}"))

    assert refused.value.returncode == 2


def test_import__unknown_namespace_says_how_to_make_it(run: Run, write: Write) -> None:
    with pytest.raises(
        CommandError, match=r"manage\.py counters create-namespace nope"
    ) as refused:
        run(write(), "--namespace", "nope")

    assert refused.value.returncode == 2


def test_import__missing_file_is_named(run: Run, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        run(tmp_path / "none.csv")


@pytest.mark.parametrize("content", ["", "\n1\n"])
def test_import__file_without_header_is_refused(
    run: Run, write: Write, content: str
) -> None:
    with pytest.raises(CommandError, match="no column names"):
        run(write(header=content))


def test_import__json_array_is_explained(run: Run, write: Write) -> None:
    with pytest.raises(CommandError, match="one object a line"):
        run(write(header='[{"at": 1}]', name="events.json"))


def test_import__dry_run_writes_nothing(run: Run, write: Write, counts: Counts) -> None:
    file = write("2025-03-01T10:00:00Z,a,1", "bad,a,1")

    ran = run(file, "--dry-run")

    assert (ran.code, ran.summary["events"], ran.summary["added"]) == (1, 1, 0)
    assert counts() == {}


def test_import__best_effort_namespace_is_refused(run: Run, write: Write) -> None:
    Namespace.objects.update(counter_type=CounterType.BEST_EFFORT)
    lookup.forget_all()

    with pytest.raises(CommandError, match="best-effort"):
        run(write("2025-03-01T10:00:00Z,a,1"))
