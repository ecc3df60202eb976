from __future__ import annotations

import csv
import json
import sys
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from counters import events
from counters.errors import NamespaceNotFound
from counters.models import LastWrite, Namespace
from rollups import counts
from rollups.folding.fold import fold
from rollups.reading import export

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("triggers"),
]

NOW = datetime.now(UTC).replace(microsecond=0)
LARGE = 2**63 - 1


@pytest.fixture
def counted(committed_namespace: Namespace) -> None:
    """Two folded counters, one of them beyond 2^63 and pending, one never folded."""
    add = events.NewEvent
    events.add_many(
        [
            add("test", "large", LARGE, "a", NOW),
            add("test", "large", LARGE, "b", NOW),
            add("test", 'na"me, ü', -3, "c", NOW - timedelta(hours=2)),
        ]
    )
    fold(set(LastWrite.objects.values_list("counter_id", flat=True)))
    events.add(namespace="test", name="large", delta=1)
    events.add(namespace="test", name="new", delta=1)


def exported(monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    written = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(written, write_through=True))
    call_command("counters", "export", *words)
    return written.getvalue().decode()


def test_export__totals_as_csv_have_all_their_digits(
    counted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = list(csv.DictReader(StringIO(exported(monkeypatch, "totals"))))

    assert [(row["name"], row["count"], row["pending"]) for row in rows] == [
        ("large", str(2 * LARGE), "true"),
        ('na"me, ü', "-3", "false"),
        ("new", "0", "true"),
    ]
    assert rows[1]["as_of"].endswith("Z")
    assert rows[2]["as_of"] == ""


@pytest.mark.parametrize("is_terminal", [True, False])
def test_export__draws_no_bar_over_its_rows(
    counted: None, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    screen = StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    written = TextIOWrapper(BytesIO(), write_through=True)
    monkeypatch.setattr(written, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stdout", written)

    call_command("counters", "export", "totals")

    assert ("Exporting" in screen.getvalue()) is not is_terminal


def test_export__ndjson_rounds_nothing_in_javascript(
    counted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = exported(monkeypatch, "totals", "--format", "ndjson").splitlines()

    assert [json.loads(line)["count"] for line in lines] == [str(2 * LARGE), -3, 0]


def test_export__series_are_half_open(
    counted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = NOW.replace(second=0)
    span = ["--from", (bucket - timedelta(hours=3)).isoformat(), "--to"]

    def names(until: datetime) -> list[str]:
        said = exported(monkeypatch, "series", *span, until.isoformat())
        return [row["name"] for row in csv.DictReader(StringIO(said))]

    assert names(bucket) == ['na"me, ü']
    assert names(bucket + timedelta(microseconds=1)) == ["large", 'na"me, ü']


def test_export__events_can_be_imported_elsewhere_and_count_once(
    counted: None, tmp_path: Path
) -> None:
    """Some have tokens, some have none; the file is imported twice."""
    file = tmp_path / "events.csv"
    call_command("counters", "export", "events", "--output", str(file))
    with file.open() as lines:
        tokens = [row["token"] for row in csv.DictReader(lines)]
    call_command("counters", "create-namespace", "copy")

    for _ in range(2):
        call_command(
            *("counters", "import", str(file), "--namespace", "copy"),
            *("--counter", "{name}", "--delta", "delta"),
            *("--time", "event_time", "--token", "token"),
        )

    assert len(tokens) == 5
    assert tokens.count("") == 2
    totals = {
        name: counts.get(namespace="copy", name=name, accuracy="accurate").count
        for name in ("large", 'na"me, ü', "new")
    }
    assert totals == {"large": 2 * LARGE + 1, 'na"me, ü': -3, "new": 1}


def test_export__parquet_is_typed_and_exact(counted: None, tmp_path: Path) -> None:
    file = tmp_path / "totals.parquet"

    call_command(
        "counters", "export", "totals", "--namespace", "test", "--output", str(file)
    )

    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(file).to_pylist()
    assert (rows[0]["name"], int(rows[0]["count"])) == ("large", 2 * LARGE)
    assert rows[0]["last_write_at"].tzinfo is not None
    assert [path.name for path in tmp_path.iterdir()] == ["totals.parquet"]


def test_export__of_more_than_a_batch_loses_and_repeats_nothing(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "BATCH_ROWS", 10)
    names = {f"c{i}" for i in range(25)}
    events.add_many([events.NewEvent("test", name) for name in sorted(names)])

    batches = [[row[1] for row in batch] for batch in export.rows("events")]

    assert [len(batch) for batch in batches] == [10, 10, 5]
    assert {name for batch in batches for name in batch} == names


def test_export__that_fails_leaves_no_file(
    counted: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "totals.csv"
    file.write_text("of last week")
    monkeypatch.setattr(export, "_value", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        call_command("counters", "export", "totals", "--output", str(file))

    assert file.read_text() == "of last week"
    assert [path.name for path in tmp_path.iterdir()] == ["totals.csv"]


def test_export__refuses_what_makes_no_sense(
    counted: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match="Totals are of now"):
        call_command("counters", "export", "totals", "--from", "2026-01-01T00:00Z")
    with pytest.raises(CommandError, match="There is no namespace 'nope'"):
        call_command("counters", "export", "totals", "--namespace", "nope")
    with pytest.raises(CommandError, match="No such file or directory"):
        call_command(
            "counters", "export", "totals", "--output", str(tmp_path / "no" / "where")
        )
    monkeypatch.setattr(export, "find_spec", lambda _: None)
    with pytest.raises(CommandError, match="pip install pyarrow"):
        call_command(
            "counters", "export", "totals", "--output", str(tmp_path / "x.parquet")
        )
    assert NamespaceNotFound.code == "namespace-not-found"


FORMULAS = ["=1+1", "@SUM(A1)", "+1", "-1+1", "\uff1d1+1"]


def test_export__for_spreadsheets_holds_no_formula(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*FORMULAS, "a=1", "ü"]:
        events.add(namespace="test", name=name, delta=-1)
    fold(set(LastWrite.objects.values_list("counter_id", flat=True)))

    plain = exported(monkeypatch, "totals")
    safe = exported(monkeypatch, "totals", "--for-spreadsheets")

    assert {row["name"] for row in csv.DictReader(StringIO(plain))} == {
        *FORMULAS,
        "a=1",
        "ü",
    }
    assert safe.startswith("\ufeffnamespace,")
    rows = list(csv.DictReader(StringIO(safe.removeprefix("\ufeff"))))
    assert {row["name"] for row in rows} == {
        *(f"'{name}" for name in FORMULAS),
        "a=1",
        "ü",
    }
    # Numbers stay numbers.
    assert {row["count"] for row in rows} == {"-1"}


@pytest.mark.parametrize("chosen", ["ndjson", "parquet"])
def test_export__for_spreadsheets_is_for_csv(
    committed_namespace: Namespace, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    with pytest.raises(CommandError, match=f"for CSV, not for {chosen}"):
        exported(monkeypatch, "totals", "--for-spreadsheets", "--format", chosen)
