"""Compares every counter with a plain sum over the file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fold_counters_client import Client

from counters_project.demo.flights import reader


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


def compare(expected: Counter[str], client: Client, namespace: str) -> list[Compared]:
    """Read each counter both ways over REST; one that should not be there is wrong."""
    eventual = {reading.name: reading.count for reading in client.list(namespace)}
    return [
        Compared(
            name,
            expected[name],
            eventual.get(name, 0),
            client.get(namespace, name, accuracy="accurate").count
            if name in eventual
            else 0,
        )
        for name in sorted(expected.keys() | eventual.keys())
    ]
