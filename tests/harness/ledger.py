"""What clients attempted and what was acknowledged: a file for each client, append only.

An entry is written before an attempt, and after its answer, each in one write that a kill
of the client cannot tear. All times are the machine's monotonic clock, which its processes
share.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.histories import Read


@dataclass(slots=True)
class Tried:
    """One token on one counter, from its first attempt on."""

    name: str
    token: str
    delta: int
    began: float
    # None where no attempt was ever answered: it may count, now or later, or never.
    ended: float | None = None
    # Rolled back by its own writer: it must not count.
    withdrawn: bool = False


@dataclass(slots=True)
class Account:
    """All ledgers, read together."""

    tried: dict[tuple[str, str], Tried] = field(default_factory=dict)
    reads: dict[str, list[Read]] = field(default_factory=dict)
    # Answers that no client should get, as lines.
    wrong_answers: list[str] = field(default_factory=list)
    # How often an attempt went unanswered, by what came instead.
    troubles: Counter[str] = field(default_factory=Counter)
    repeats_answered: int = 0
    conflicts_refused: int = 0

    @property
    def acknowledged(self) -> int:
        return sum(one.ended is not None for one in self.tried.values())


class Ledger:
    """Writes one client's file."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def attempt(self, *, name: str, token: str, delta: int) -> None:
        self._write("attempt", name=name, token=token, delta=delta)

    def acknowledged(self, *, name: str, token: str, duplicate: bool = False) -> None:
        self._write("acknowledged", name=name, token=token, duplicate=duplicate)

    def withdrawn(self, *, name: str, token: str) -> None:
        self._write("withdrawn", name=name, token=token)

    def read(self, *, name: str, read: Read) -> None:
        self._write(
            "read",
            name=name,
            began=read.began,
            ended=read.ended,
            count=read.count,
            accuracy=read.accuracy,
            as_of=read.as_of,
        )

    def conflict_refused(self) -> None:
        self._write("conflict_refused")

    def wrong_answer(self, text: str) -> None:
        self._write("wrong_answer", text=text)

    def trouble(self, kind: str) -> None:
        self._write("trouble", kind=kind)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, what: str, **facts: Any) -> None:
        line = json.dumps({"what": what, "at": time.monotonic(), **facts})
        os.write(self._file, f"{line}\n".encode())


def read(paths: Iterable[Path]) -> Account:
    """Read ledgers; a last line that its writer could not finish was never acted upon."""
    account = Account()
    for path in paths:
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                _enter(account, json.loads(line))
    return account


def _enter(account: Account, entry: dict[str, Any]) -> None:
    key = (entry.get("name", ""), entry.get("token", ""))
    match entry["what"]:
        case "attempt":
            tried = Tried(*key, entry["delta"], entry["at"])
            account.tried.setdefault(key, tried)
        case "acknowledged":
            tried = account.tried[key]
            if tried.ended is None:
                tried.ended = entry["at"]
            account.repeats_answered += entry["duplicate"]
        case "withdrawn":
            account.tried[key].withdrawn = True
        case "read":
            account.reads.setdefault(entry["name"], []).append(
                Read(
                    began=entry["began"],
                    ended=entry["ended"],
                    count=entry["count"],
                    accuracy=entry["accuracy"],
                    as_of=entry["as_of"],
                )
            )
        case "conflict_refused":
            account.conflicts_refused += 1
        case "wrong_answer":
            account.wrong_answers.append(entry["text"])
        case "trouble":
            account.troubles[entry["kind"]] += 1
