"""The targets: what a user gets, and whether the measured figure reaches the goal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.results import Figure, short


@dataclass(frozen=True, slots=True)
class Target:
    """A goal for figures of one suite. The worst of them counts."""

    what: str
    suite: str
    figures: tuple[str, ...]
    sense: Literal["≥", "≤"]
    goal: float
    unit: str = ""

    @property
    def wanted(self) -> str:
        return f"{self.sense} {self.goal:,.10g}{self.unit}"

    def worst(self, figures: Mapping[str, Any]) -> Figure | None:
        """Return the figure that is farthest from the goal, or None."""
        known = [Figure(**figures[name]) for name in self.figures if name in figures]
        pick = min if self.sense == "≥" else max
        return pick(known, key=lambda one: one.median, default=None)

    def is_met_by(self, value: float) -> bool:
        return value >= self.goal if self.sense == "≥" else value <= self.goal


@dataclass(frozen=True, slots=True)
class Judgement:
    """A target and the measured figure: its median and spread."""

    target: Target
    measured: str
    is_met: bool


TARGETS = [
    Target(
        "Adds to one hot counter ÷ F",
        "hot",
        ("add, hot ÷ update_f, hot",),
        "≥",
        3,
    ),
    Target(
        "Adds to one hot counter in transactions of 5 ms ÷ F",
        "in_request",
        ("add_in_request, hot ÷ update_f_in_request, hot",),
        "≥",
        14,
    ),
    Target(
        "Adds to one hot counter ÷ the limit",
        "hot",
        ("add, hot ÷ bare_insert, hot",),
        "≥",
        0.5,
    ),
    Target(
        "Adds over 100,000 counters ÷ F",
        "many",
        ("add, uniform ÷ update_f, uniform", "add, zipf ÷ update_f, zipf"),
        "≥",
        1.2,
    ),
    Target(
        "Adds over 100,000 counters ÷ the limit",
        "many",
        ("add, uniform ÷ bare_insert, uniform", "add, zipf ÷ bare_insert, zipf"),
        "≥",
        0.5,
    ),
    Target(
        "Batches of 1,000 events ÷ the limit for batches",
        "batches",
        ("add_many, hot ÷ bare_insert_many, hot",),
        "≥",
        0.4,
    ),
    Target(
        "p99 of an add with a dead, stopped, full or read-only broker ÷ healthy",
        "trigger_faults",
        tuple(
            f"p99 ÷ healthy, {outage}"
            for outage in (
                "valkey killed",
                "valkey stopped",
                "valkey out_of_memory",
                "valkey read_only",
                "rabbitmq killed",
                "rabbitmq stopped",
                "rabbitmq memory_alarm",
            )
        ),
        "≤",
        1.1,
    ),
    Target(
        "From commit to an eventual read that shows it, p50",
        "staleness",
        ("p50 ms, 50%",),
        "≤",
        50,
        " ms",
    ),
    Target(
        "From commit to an eventual read that shows it, p99",
        "staleness",
        ("p99 ms, 50%",),
        "≤",
        150,
        " ms",
    ),
    Target(
        "Folded events a second with 10 million kept events",
        "folding",
        ("events/s, many kept",),
        "≥",
        3_000_000,
        "/s",
    ),
    Target(
        "Time of a sweep: a million counters ÷ a thousand",
        "sweeping",
        ("many counters ÷ few",),
        "≤",
        1.1,
    ),
    Target(
        "Time of an eventual read ÷ SELECT by primary key, Django's cursor",
        "reading",
        ("eventual ÷ by primary key, Django's cursor",),
        "≤",
        1.1,
    ),
    Target(
        "Time of an eventual read ÷ `.get()` of Django's ORM",
        "reading",
        ("eventual ÷ by primary key, Django's ORM",),
        "≤",
        0.45,
    ),
    Target(
        "Time of an accurate read: 10 million kept events ÷ 1,000",
        "reading",
        ("accurate, many kept ÷ few, 1,000 pending",),
        "≤",
        1.05,
    ),
    Target(
        "REST adds ÷ the plainest view",
        "rest",
        (
            "rest_add, uniform ÷ rest_update_f, uniform",
            "rest_add, hot ÷ rest_update_f, hot",
        ),
        "≥",
        2,
    ),
    Target(
        "p99 of a REST add at half of the throughput",
        "rest_half",
        ("p99, ms",),
        "≤",
        10,
        " ms",
    ),
    Target(
        "Events a second in REST batches of 1,000",
        "rest",
        ("batch, events/s",),
        "≥",
        60_000,
        "/s",
    ),
    Target(
        "Bytes on disk for an event, once its day is over",
        "disk",
        tuple(
            f"bytes, {name}, compacted"
            for name in (
                "add, one hot counter",
                "add, 100,000 uniform",
                "add_many, 1,000 counters",
            )
        ),
        "≤",
        180,
    ),
    Target(
        "Memory of each process after ten minutes of load ÷ before",
        "memory",
        ("most grown",),
        "≤",
        1.05,
    ),
]


def judge(found: Mapping[str, Any]) -> Iterator[Judgement]:
    """Yield a judgement for each target whose benchmark was run."""
    for target in TARGETS:
        one = target.worst(found.get(target.suite, {}).get("figures", {}))
        if one is None:
            continue
        words = short(one.median) if one.least == one.most else str(one)
        yield Judgement(target, words, target.is_met_by(one.median))
