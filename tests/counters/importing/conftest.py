"""Runs `manage.py counters import` on small files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Sum

from counters.models import Counter, Event, Namespace

HEADER = "at,name,amount\n"
TIMED = ("--time", "at", "--delta", "amount", "--counter", "{name}")


@dataclass(frozen=True)
class Ran:
    """How a run of the command ended."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


Run = Callable[..., Ran]
Write = Callable[..., Path]
Counts = Callable[[], dict[str, int]]


@pytest.fixture(autouse=True)
def _no_broker(triggers: list[list[int]]) -> None:
    """The importer's own tests send no trigger."""


@pytest.fixture
def run(namespace: Namespace, capsys: pytest.CaptureFixture[str]) -> Run:
    def import_events(file: Path | str, *options: str, mapping: Any = TIMED) -> Ran:
        code = 0
        try:
            call_command(
                "counters",
                "import",
                str(file),
                "--namespace",
                "test",
                "--json",
                *mapping,
                *options,
            )
        except SystemExit as ended:
            code = int(str(ended.code))
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return import_events


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(*lines: str, name: str = "events.csv", header: str = HEADER) -> Path:
        file = tmp_path / name
        file.write_text(header + "".join(f"{line}\n" for line in lines))
        return file

    return write_file


@pytest.fixture
def counts() -> Counts:
    """The sum of the events of each counter."""

    def sums() -> dict[str, int]:
        name_of = dict(Counter.objects.values_list("pk", "name"))
        events = Event.objects.values_list("counter_id").annotate(Sum("delta"))
        return {name_of[counter_id]: total for counter_id, total in events}

    return sums


def lines_rejected(file: Path) -> list[str]:
    return Path(f"{file}.rejects").read_text().splitlines()
