"""What is to be reached, and whether it is: each target is a figure of a benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.results import short


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that is to be at least or at most so much.

    `then` is the bar that this project sets itself once the target is met.
    """

    number: int
    what: str
    suite: str
    figure: str
    sense: Literal["≥", "≤"]
    bound: float
    then: float | None = None
    unit: str = ""

    @property
    def wanted(self) -> str:
        return f"{self.sense} {self._words(self.bound)}"

    @property
    def next_bar(self) -> str:
        return "" if self.then is None else f"{self.sense} {self._words(self.then)}"

    def is_met_by(self, value: float) -> bool:
        return value >= self.bound if self.sense == "≥" else value <= self.bound

    def _words(self, value: float) -> str:
        return f"{value:,.10g}{self.unit}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A target beside what was measured; `measured` is the median and the spread."""

    target: Target
    measured: str
    is_met: bool


# The suite's own table gives the number for "many"; a quick run takes fewer.
TARGETS = [
    Target(1, "add ÷ F, hot counter", "hot", "add, hot ÷ update_f, hot", "≥", 4),
    Target(1, "add ÷ L, hot counter", "hot", "add, hot ÷ bare_insert, hot", "≥", 0.7),
    Target(
        1,
        "add ÷ F, both inside a 5 ms transaction, hot counter",
        "in_request",
        "add_in_request, hot ÷ update_f_in_request, hot",
        "≥",
        15,
    ),
    Target(
        2, "add ÷ L, uniform", "many", "add, uniform ÷ bare_insert, uniform", "≥", 0.7
    ),
    Target(2, "add ÷ L, Zipf", "many", "add, zipf ÷ bare_insert, zipf", "≥", 0.7),
    Target(
        2,
        "add ÷ F, uniform",
        "many",
        "add, uniform ÷ update_f, uniform",
        "≥",
        0.9,
        then=1.1,
    ),
    Target(2, "add ÷ F, Zipf", "many", "add, zipf ÷ update_f, zipf", "≥", 0.9),
    Target(
        3,
        "batch add of 1,000 ÷ L-batch",
        "batches",
        "add_many, hot ÷ bare_insert_many, hot",
        "≥",
        0.6,
    ),
    *(
        Target(
            4,
            f"an add's {what} with its trigger ÷ without, {threads}",
            "trigger_share",
            f"{what}, background ÷ none, {threads}",
            "≤",
            1.05,
            then=1.02 if what == "p50" else None,
        )
        for what in ("CPU", "p50")
        for threads in ("1 threads", "8 threads")
    ),
    *(
        Target(
            5,
            f"add p99, {broker} {outage} ÷ healthy",
            "trigger_faults",
            f"p99 ÷ healthy, {broker} {outage}",
            "≤",
            1.1,
            then=1.05,
        )
        for broker in ("valkey", "rabbitmq")
        for outage in ("stopped", "killed")
    ),
    Target(
        6,
        "staleness at half capacity, p50",
        "staleness",
        "p50 ms, 50%",
        "≤",
        50,
        then=25,
        unit=" ms",
    ),
    Target(
        6,
        "staleness at half capacity, p99",
        "staleness",
        "p99 ms, 50%",
        "≤",
        250,
        then=40,
        unit=" ms",
    ),
    Target(
        7,
        "fold, few kept events",
        "folding",
        "events/s, few kept",
        "≥",
        1_000_000,
        then=4_000_000,
        unit="/s",
    ),
    Target(
        7,
        "fold, many kept events",
        "folding",
        "events/s, many kept",
        "≥",
        1_000_000,
        then=4_000_000,
        unit="/s",
    ),
    Target(
        8,
        "sweep, many counters ÷ a thousand",
        "sweeping",
        "many counters ÷ few",
        "≤",
        1.5,
        then=1.02,
    ),
    Target(
        9,
        "eventual read ÷ SELECT by primary key, psycopg",
        "reading",
        "eventual ÷ by primary key, psycopg",
        "≤",
        1.3,
    ),
    Target(
        9,
        "eventual read ÷ SELECT by primary key, Django's cursor",
        "reading",
        "eventual ÷ by primary key, Django's cursor",
        "≤",
        1.3,
        then=1.2,
    ),
    Target(
        9,
        "eventual read, many kept events ÷ 1,000",
        "reading",
        "eventual, many kept ÷ few",
        "≤",
        1.1,
        then=1.02,
    ),
    Target(
        10,
        "accurate read, many kept events ÷ 1,000, same pending",
        "reading",
        "accurate, many kept ÷ few, 1,000 pending",
        "≤",
        1.1,
        then=1.05,
    ),
    Target(
        11,
        "REST add ÷ plainest view, many counters",
        "rest",
        "rest_add, uniform ÷ rest_update_f, uniform",
        "≥",
        0.9,
        then=1.0,
    ),
    Target(
        11,
        "REST add ÷ plainest view, hot counter",
        "rest",
        "rest_add, hot ÷ rest_update_f, hot",
        "≥",
        2,
    ),
    Target(
        11, "REST add p99 at half capacity", "rest_half", "p99, ms", "≤", 10, unit=" ms"
    ),
    Target(
        12,
        "REST batch",
        "rest",
        "batch, events/s",
        "≥",
        30_000,
        then=60_000,
        unit="/s",
    ),
    Target(
        13,
        "bytes an event, one hot counter",
        "disk",
        "bytes, add, one hot counter",
        "≤",
        180,
        then=170,
    ),
    Target(
        13,
        "bytes an event, many counters",
        "disk",
        "bytes, add, 100,000 uniform",
        "≤",
        180,
    ),
    Target(
        13,
        "bytes an event, many counters, once the day is over",
        "disk",
        "bytes, add, 100,000 uniform, compacted",
        "≤",
        180,
        then=175,
    ),
    Target(
        13,
        "bytes an event, batches over a thousand counters, once the day is over",
        "disk",
        "bytes, add_many, 1,000 counters, compacted",
        "≤",
        180,
        then=175,
    ),
    Target(
        14,
        "memory, end ÷ settled, the process that grew most",
        "memory",
        "most grown",
        "≤",
        1.05,
        then=1.02,
    ),
    Target(15, "two workers ÷ one", "workers", "2 workers ÷ one", "≥", 1.6, then=1.8),
]


def judge(found: Mapping[str, Any]) -> Iterator[Judgement]:
    """Yield what is known of each target whose benchmark was run."""
    for target in TARGETS:
        figures = found.get(target.suite, {}).get("figures", {})
        if target.figure not in figures:
            continue
        one = figures[target.figure]
        words = short(one["median"])
        if one["least"] != one["most"]:
            words += f" ({short(one['least'])} to {short(one['most'])})"
        yield Judgement(target, words, target.is_met_by(one["median"]))
