"""Going on after an interruption."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from counters.importing import resume
from counters.importing import run as running
from counters.importing import write as writing
from counters.models import Event, ImportProgress, Namespace
from counters.namespaces import deletion
from tests.counters.importing.conftest import (
    HEADER,
    Counts,
    Run,
    Write,
    lines_rejected,
)

# An import commits batch by batch.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Presses Ctrl-C after some batches: the last one is written, but not committed."""

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

        monkeypatch.setattr("counters.importing.write.write", write_and_stop)

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
    assert "Continuing after line 22" in went_on.err
    assert counts() == expected
    assert (went_on.summary["added"], went_on.summary["duplicates"]) == (97, 0)
    assert (went_on.summary["rows"], went_on.summary["rejected_rows"]) == (100, 3)
    assert [line.partition(",")[0] for line in lines_rejected(file)[1:]] == [
        "events.csv:7",
        "events.csv:27",
        "events.csv:97",
    ]
    assert not ImportProgress.objects.exists()


@pytest.mark.parametrize("when", ["before the commit", "after it"])
def test_import__goes_on_exactly_where_events_end(
    run: Run,
    write: Write,
    counts: Counts,
    interrupt: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    """Retention may have dropped the events meanwhile, so no row would be a duplicate."""
    file = write(*[f"2025-03-01T10:00:00Z,a,{n}" for n in range(50)])
    if when == "after it":
        monkeypatch.setattr(running, "Progress", _killed_after(3))
        with pytest.raises(KilledError):
            run(file, "--batch-rows", "10")
        monkeypatch.undo()
    else:
        interrupt(3)
        run(file, "--batch-rows", "10")
    dropped = counts()["a"]
    Event.objects.all().delete()

    run(file, "--batch-rows", "10")

    assert dropped + counts()["a"] == sum(range(50))


class KilledError(BaseException):
    """Stands for the end of the process."""


def _killed_after(batches: int) -> Any:
    """Return a Progress that ends the process once its batch is committed."""
    made = 0

    def make(*args: Any) -> Any:
        nonlocal made
        made += bool(args)
        if made == batches:
            transaction.on_commit(_end)
        return resume.Progress(*args)

    return make


def _end() -> None:
    raise KilledError


def test_import__begins_anew_when_the_file_changed(
    run: Run, write: Write, counts: Counts, interrupt: Callable[[int], None]
) -> None:
    rows = [f"2025-03-01T10:00:00Z,a,{n}" for n in range(30)]
    interrupt(2)
    run(write(*rows), "--batch-rows", "10")

    ran = run(write(*rows, "2025-03-01T10:00:00Z,b,1"), "--batch-rows", "10")

    assert counts() == {"a": sum(range(30)), "b": 1}
    assert (ran.summary["rows"], ran.summary["duplicates"]) == (31, 10)


def test_import__no_resume_begins_anew(
    run: Run, write: Write, interrupt: Callable[[int], None]
) -> None:
    file = write(*[f"2025-03-01T10:00:00Z,a,{n}" for n in range(30)])
    interrupt(2)
    run(file, "--batch-rows", "10")

    ran = run(file, "--batch-rows", "10", "--no-resume")

    assert (ran.summary["rows"], ran.summary["duplicates"]) == (30, 10)


def test_import__starts_over_in_another_namespace(
    run: Run,
    write: Write,
    interrupt: Callable[[int], None],
    counts: Counts,
) -> None:
    file = write(*[f"2025-03-01T10:00:00Z,a,{n}" for n in range(30)])
    interrupt(2)
    run(file, "--batch-rows", "10")
    deletion.delete_namespace("test", confirm="test")
    Namespace.objects.create(name="test")

    run(file, "--batch-rows", "10")

    assert counts() == {"a": sum(range(30))}
