"""Going on after an interruption."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from counters import namespaces
from counters.importing import writing
from counters.models import Event, Namespace
from tests.counters.importing.conftest import (
    HEADER,
    Counts,
    Run,
    Write,
    lines_rejected,
)


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Presses Ctrl-C when a batch has been committed, before its progress is kept."""

    def plan(after_batches: int) -> None:
        write_batch = writing.write
        left = after_batches

        def write_and_stop(*args: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                return write_batch(*args)
            written = write_batch(*args)
            if left == 0:
                raise KeyboardInterrupt
            return written

        monkeypatch.setattr("counters.importing.writing.write", write_and_stop)

    return plan


@pytest.mark.parametrize("packed", [False, True])
def test_import__goes_on_after_ctrl_c(
    run: Run,
    write: Write,
    counts: Counts,
    interrupt: Callable[[int], None],
    packed: bool,
) -> None:
    rows = [f"2025-03-01T10:00:00Z,a{n % 3},{n}" for n in range(100)]
    rows[5] = rows[95] = "bad,a,1"
    rows[25] = "worse,a,1"
    file = write(*rows)
    if packed:
        file = Path(f"{file}.gz")
        file.write_bytes(gzip.compress((HEADER + "\n".join(rows) + "\n").encode()))
    expected = {
        f"a{n}": sum(m for m in range(100) if m % 3 == n and m not in {5, 25, 95})
        for n in range(3)
    }
    interrupt(3)

    stopped = run(file, "--batch-rows", "10")
    went_on = run(file, "--batch-rows", "10")

    assert stopped.code == 130
    assert (
        "Everything up to line 22 is counted. Run the same command again" in stopped.err
    )
    assert "Going on behind line 22" in went_on.err
    assert counts() == expected
    # The third batch was committed, but its progress was not kept.
    assert (went_on.summary["added"], went_on.summary["duplicates"]) == (87, 10)
    assert (went_on.summary["rows"], went_on.summary["rejected_rows"]) == (100, 3)
    assert [line.partition(",")[0] for line in lines_rejected(file)[1:]] == [
        "events.csv:7",
        "events.csv:27",
        "events.csv:97",
    ]
    assert not Path(f"{file}.progress").exists()


def test_import__begins_anew_when_the_file_changed(
    run: Run, write: Write, counts: Counts, interrupt: Callable[[int], None]
) -> None:
    rows = [f"2025-03-01T10:00:00Z,a,{n}" for n in range(30)]
    interrupt(2)
    run(write(*rows), "--batch-rows", "10")

    ran = run(write(*rows, "2025-03-01T10:00:00Z,b,1"), "--batch-rows", "10")

    assert "beginning at the first row" in ran.err
    assert counts() == {"a": sum(range(30)), "b": 1}
    assert (ran.summary["rows"], ran.summary["duplicates"]) == (31, 20)


def test_import__no_resume_begins_anew(
    run: Run, write: Write, interrupt: Callable[[int], None]
) -> None:
    file = write(*[f"2025-03-01T10:00:00Z,a,{n}" for n in range(30)])
    interrupt(2)
    run(file, "--batch-rows", "10")

    ran = run(file, "--batch-rows", "10", "--no-resume")

    assert (ran.summary["rows"], ran.summary["duplicates"]) == (30, 20)


def test_import__begins_anew_in_another_database(
    namespace: Namespace,
    run: Run,
    write: Write,
    interrupt: Callable[[int], None],
    counts: Counts,
) -> None:
    file = write(*[f"2025-03-01T10:00:00Z,a,{n}" for n in range(30)])
    interrupt(2)
    run(file, "--batch-rows", "10")
    Event.objects.all().delete()
    Namespace.objects.update(created_at=datetime.now(UTC))
    namespaces.forget_all()

    run(file, "--batch-rows", "10")

    assert counts() == {"a": sum(range(30))}
