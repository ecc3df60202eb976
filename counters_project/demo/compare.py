"""Compares every counter with a plain sum over the file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from counters.models import Counter as CounterModel
from counters_project.demo.flights import reader
from rollups import reading


@dataclass(frozen=True, slots=True)
class Compared:
    """A counter's count as the file has it, and as the service answers."""

    name: str
    expected: int
    eventual: int
    accurate: int

    @property
    def exact(self) -> bool:
        return self.expected == self.eventual == self.accurate


def sum_plainly(file: Path) -> Counter[str]:
    """Count the file's departures by carrier, origin and route."""
    counts: Counter[str] = Counter()
    with reader(file) as rows:
        for row in rows:
            counts[f"carrier/{row['carrier']}"] += 1
            counts[f"origin/{row['origin']}"] += 1
            counts[f"route/{row['origin']}-{row['dest']}"] += 1
    return counts


def compare(expected: Counter[str], namespace: str) -> list[Compared]:
    """Read each counter both ways; a counter that should not be there counts as wrong."""
    there = set(
        CounterModel.objects.filter(namespace__name=namespace).values_list(
            "name", flat=True
        )
    )
    return [
        Compared(
            name, expected[name], *_read(namespace, name) if name in there else (0, 0)
        )
        for name in sorted(expected.keys() | there)
    ]


def _read(namespace: str, name: str) -> tuple[int, int]:
    eventual = reading.get(namespace=namespace, name=name, accuracy="eventual")
    accurate = reading.get(namespace=namespace, name=name, accuracy="accurate")
    return eventual.count, accurate.count
