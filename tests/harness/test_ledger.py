"""What is written down can be read, whenever its writer was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import ledger
from tests.harness.ledger import Ledger
from tests.histories import Read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "client-0.jsonl"


def test_ledger__keeps_first_attempt_and_first_answer(path: Path) -> None:
    writer = Ledger(path)
    for _ in range(2):
        writer.attempt(name="x", token="a", delta=5)
    for duplicate in (False, True):
        writer.acknowledged(name="x", token="a", duplicate=duplicate)
    writer.attempt(name="y", token="a", delta=7)
    writer.close()

    account = ledger.read([path])

    first, other = account.tried.values()
    assert (first.delta, other.delta) == (5, 7)
    assert first.ended is not None
    assert other.ended is None
    assert first.began < first.ended < other.began
    assert (account.acknowledged, account.repeats_answered) == (1, 1)


def test_ledger__keeps_everything_else(path: Path) -> None:
    read = Read(1.5, 2.5, 12, "eventual", 1.25)
    writer = Ledger(path)
    writer.read(name="x", read=read)
    writer.attempt(name="x", token="a", delta=5)
    writer.withdrawn(name="x", token="a")
    writer.trouble("no answer")
    writer.wrong_answer("500")
    writer.conflict_refused()
    writer.close()

    account = ledger.read([path])

    assert account.reads == {"x": [read]}
    assert account.tried["x", "a"].withdrawn
    assert account.troubles == {"no answer": 1}
    assert account.wrong_answers == ["500"]
    assert account.conflicts_refused == 1


def test_ledger__of_a_killed_client_is_read_up_to_its_last_whole_line(
    path: Path,
) -> None:
    writer = Ledger(path)
    writer.attempt(name="x", token="a", delta=5)
    writer.close()
    with path.open("a") as torn:
        torn.write('{"what": "acknowl')

    assert ledger.read([path]).acknowledged == 0
