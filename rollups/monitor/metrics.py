"""Metrics of this process.

Each process writes its own files in ROLLUPS_METRICS_DIR (prometheus_client's multiprocess mode);
`rollups.monitor.prometheus` adds up those of one machine. Numbers that must cover all machines go
through the database: see DATABASE_COUNTERS. Labels never name a counter.
"""

from __future__ import annotations

from collections import Counter as TallyOf
from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from counters import forking

ADDS = Counter("counters_adds", "Events that were recorded and committed.")
REQUESTED = Counter(
    "rollups_trigger_requested",
    "Counters for which a trigger was requested: coalesced + published + failed + dropped"
    " + waiting.",
)
COALESCED = Counter(
    "rollups_trigger_coalesced",
    "Counters whose trigger was merged with one that was already waiting in the process.",
)
PUBLISHED = Counter(
    "rollups_trigger_published", "Counters whose trigger was handed to the broker."
)
FAILED = Counter(
    "rollups_trigger_failed",
    "Counters whose trigger the broker refused, by class of error.",
    ["error"],
)
DROPPED = Counter(
    "rollups_trigger_dropped",
    "Counters whose trigger was dropped before it reached a broker: overflow (too many"
    " wait), breaker (the broker failed a moment ago), busy, exit (the process ended).",
    ["reason"],
)
MESSAGES_SENT = Counter(
    "rollups_messages_sent", "Messages handed to the broker; each names many counters."
)
WAITING = Gauge(
    "rollups_trigger_waiting",
    "Counters whose trigger waits in a process for its message.",
    multiprocess_mode="livesum",
)
BREAKER_OPEN = Gauge(
    "rollups_trigger_breaker_open",
    "Processes whose circuit to the broker is open after a failure.",
    multiprocess_mode="livesum",
)
MESSAGES_RECEIVED = Counter(
    "rollups_messages_received",
    "Messages that workers started to handle, by sender.",
    ["source"],
)
FOLD_SECONDS = Histogram(
    "rollups_fold_seconds",
    "Duration of a fold, including its clean-up.",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
QUARANTINED = Counter(
    "rollups_counters_quarantined",
    "Times that a counter was quarantined because its fold failed, by class of error.",
    ["error"],
)
# What processes report to the database (rollups.monitor.heartbeat), which sums it over all machines.
DATABASE_COUNTERS = {
    "folds": "Folds: transactions that updated rollups.",
    "events_folded": "Events that were folded.",
    "healed": "Counters that were folded only because a sweep found them.",
    "sweeps": "Sweeps, which look for pending counters.",
}

# prometheus_client guards its files by a lock. A fork may copy this lock while it is held;
# the child could never count again. So every change also takes our lock, which no fork copies.
_changing = forking.lock()
# This process's own share of what workers count, for rollups.monitor.heartbeat; a child has its own.
_own: TallyOf[str] = TallyOf()
forking.in_child(_own.clear)
_TRIGGERS = {
    "requested": REQUESTED,
    "coalesced": COALESCED,
    "published": PUBLISHED,
    "messages": MESSAGES_SENT,
    "adds": ADDS,
}


def count_triggers(
    changes: Mapping[tuple[str, str], int], *, waiting: int, breaker_is_open: bool
) -> None:
    """Add what a process's publisher counted since the last time."""
    with _changing:
        for (name, label), count in changes.items():
            if name == "failed":
                FAILED.labels(label).inc(count)
            elif name == "dropped":
                DROPPED.labels(label).inc(count)
            else:
                _TRIGGERS[name].inc(count)
        WAITING.set(waiting)
        BREAKER_OPEN.set(breaker_is_open)


def count_message(source: str) -> None:
    with _changing:
        MESSAGES_RECEIVED.labels(source).inc()


def count_fold(*, events: int, seconds: float) -> None:
    with _changing:
        FOLD_SECONDS.observe(seconds)
        _own["folds"] += 1
        _own["events_folded"] += events


def count_healed(counters: int) -> None:
    with _changing:
        _own["healed"] += counters


def count_quarantined(error: str) -> None:
    with _changing:
        QUARANTINED.labels(error).inc()


def count_sweep() -> None:
    with _changing:
        _own["sweeps"] += 1


def totals() -> dict[str, int]:
    """Return this process's share of DATABASE_COUNTERS since it began, by name."""
    with _changing:
        return dict(_own)
