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


def at_least(
    goal: float, what: str, suite: str, *figures: str, unit: str = ""
) -> Target:
    return Target(what, suite, figures, "≥", goal, unit)


def at_most(
    goal: float, what: str, suite: str, *figures: str, unit: str = ""
) -> Target:
    return Target(what, suite, figures, "≤", goal, unit)


OUTAGES = [
    *(f"valkey {one}" for one in ("killed", "stopped", "out_of_memory", "read_only")),
    *(f"rabbitmq {one}" for one in ("killed", "stopped", "memory_alarm")),
]
KEPT = "10,000,000 kept ÷ few"
MANY = ("uniform", "zipf")
PLAIN = ("add, hot", "add, uniform", "add_many, hot")
WITH_TOKEN = ("add_with_token, hot", "add_many_with_tokens, hot")

TARGETS = [
    at_least(
        0.7, "Adds to one hot counter ÷ the limit", "hot", "add, hot ÷ bare_insert, hot"
    ),
    at_least(3, "The same ÷ F", "hot", "add, hot ÷ update_f, hot"),
    at_least(1, "The same ÷ 16 slotted rows", "hot", "add, hot ÷ slots, hot"),
    at_least(
        0.5,
        "Adds with a token to one hot counter ÷ the limit",
        "hot",
        "add_with_token, hot ÷ bare_insert, hot",
    ),
    at_least(
        14,
        "Adds to one hot counter in transactions of 5 ms ÷ F there",
        "in_request",
        "add_in_request, hot ÷ update_f_in_request, hot",
    ),
    at_least(
        1.2,
        "Adds over 100,000 counters ÷ F",
        "many",
        *(f"add, {one} ÷ update_f, {one}" for one in MANY),
    ),
    at_least(
        0.5,
        "The same ÷ the limit",
        "many",
        *(f"add, {one} ÷ bare_insert, {one}" for one in MANY),
    ),
    at_least(
        0.6,
        "Batches of 1,000 events ÷ the limit for batches",
        "batches",
        "add_many, hot ÷ bare_insert_many, hot",
    ),
    at_least(
        0.4,
        "The same with tokens ÷ the limit with tokens",
        "batches",
        "add_many_with_tokens, hot ÷ bare_insert_many_with_tokens, hot",
    ),
    at_most(
        1.8,
        "Client's CPU time of an add ÷ that of the limit",
        "hot",
        "client CPU, add ÷ bare_insert",
    ),
    at_most(
        1.1,
        "p99 of an add with a dead, stopped, full or read-only broker ÷ healthy",
        "trigger_faults",
        *(f"p99 ÷ healthy, {one}" for one in OUTAGES),
    ),
    at_most(0, "Errors of these adds", "trigger_faults", "errors"),
    at_most(
        50,
        "From commit to an eventual read that shows it, at half capacity, p50",
        "staleness",
        "p50 ms, 50%",
        unit=" ms",
    ),
    at_most(150, "The same, p99", "staleness", "p99 ms, 50%", unit=" ms"),
    at_least(
        3_000_000,
        "Folded events a second, with few and with 10 million kept events",
        "folding",
        "events/s, few kept",
        "events/s, many kept",
        unit="/s",
    ),
    at_most(
        1.1,
        "Time of a sweep: a million counters ÷ a thousand",
        "sweeping",
        "many counters ÷ few",
    ),
    at_most(
        1.1,
        "Time of an eventual read ÷ SELECT by primary key, Django's cursor",
        "reading",
        "eventual ÷ by primary key, Django's cursor",
    ),
    at_most(
        0.45,
        "The same ÷ `.get()` of Django's ORM",
        "reading",
        "eventual ÷ by primary key, Django's ORM",
    ),
    at_most(
        1.05,
        "Time of an accurate read: 10 million kept events ÷ 1,000",
        "reading",
        f"accurate, {KEPT}, 1,000 pending",
    ),
    at_most(
        0.03,
        "Time of a read of 1,000 counters at once ÷ 1,000 single reads",
        "reading",
        "1,000 at once ÷ 1,000 single reads",
    ),
    at_least(
        2,
        "REST adds ÷ the plainest view, many counters and one hot",
        "rest",
        "rest_add, uniform ÷ plain_add, uniform",
        "rest_add, hot ÷ plain_add, hot",
    ),
    at_least(
        2,
        "REST reads ÷ the plainest view with `.get()`",
        "rest",
        "rest_read, uniform ÷ plain_read, uniform",
    ),
    at_most(
        10,
        "p99 of a REST add at half of the throughput",
        "rest_half",
        "p99, ms",
        unit=" ms",
    ),
    at_most(
        1, "The same ÷ the plainest view's", "rest_half", "p99 ÷ the plainest view's"
    ),
    at_least(
        60_000,
        "Events a second in REST batches of 1,000",
        "rest",
        "batch, events/s",
        unit="/s",
    ),
    at_least(
        0.5,
        "The same ÷ `add_many` in Python",
        "rest",
        "rest_batch, hot ÷ add_many, hot, 4 writers",
    ),
    at_most(
        125,
        "Bytes on disk for an event, once its day is over",
        "disk",
        *(f"bytes, {one}, compacted" for one in PLAIN),
    ),
    at_most(
        180,
        "The same for an event with a token",
        "disk",
        *(f"bytes, {one}, compacted" for one in WITH_TOKEN),
    ),
    at_most(380, "WAL bytes of an add to one hot counter", "hot", "WAL bytes, add"),
    at_most(
        1.05,
        "Memory of each process after ten minutes of load ÷ before",
        "memory",
        "most grown",
    ),
    at_least(
        60_000,
        "Rows a second of an import from CSV",
        "importing",
        "CSV, rows/s",
        unit="/s",
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
