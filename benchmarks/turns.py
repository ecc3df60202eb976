"""Peers side by side: A B C, A B C, ... in one run, each turn with its costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from typing import Any

from hdrh.histogram import HdrHistogram

from benchmarks import clients, meters, programs
from benchmarks.clients import Orders
from benchmarks.loads import HOT, Load
from benchmarks.options import Options
from benchmarks.results import Result, Table, figure, ratios

# Microseconds: from one to two minutes, with three digits that count.
LONGEST_STEP_US = 120_000_000
HEADINGS = ["", "events/s", "least to most", "p50 ms", "p99 ms", "p99.9 ms"]
COSTS = ["client", "web", "worker", "PostgreSQL", "Valkey"]
# CPU time of each kind of process, and WAL, for one event.
COST_HEADINGS = ["client µs", "web µs", "worker µs", "PG µs", "Valkey µs", "WAL B"]


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to count, under one load."""

    name: str
    load: Load = HOT

    @property
    def module(self) -> Any:
        return import_module(f"benchmarks.peers.{self.name}")

    @property
    def key(self) -> str:
        return f"{self.name}, {self.load.spread}"

    @property
    def title(self) -> str:
        return f"{self.module.TITLE}, {self.load.words}"


@dataclass(slots=True)
class Measured:
    """The turns of one peer."""

    step_events: int
    events_per_second: list[float] = field(default_factory=list)
    cpu_us: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wal_bytes: list[float] = field(default_factory=list)
    errors: int = 0
    first_error: str = ""
    histogram: HdrHistogram = field(
        default_factory=lambda: HdrHistogram(1, LONGEST_STEP_US, 3)
    )
    # By turn: the 50th and the 99th percentile of a step.
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)

    def at(self, percentile: float) -> float:
        """Return a percentile of all steps, in milliseconds."""
        return float(self.histogram.get_value_at_percentile(percentile)) / 1000


def alternate(
    peers: Sequence[Peer],
    options: Options,
    *,
    steps_per_second: Mapping[str, float] | None = None,
) -> dict[str, Measured]:
    """Measure every peer once a round; return what each did, by its key.

    `steps_per_second` by key; without it each peer goes as fast as it can.
    """
    for peer in peers:
        peer.module.setup(peer.load.counters)
    found = {peer.key: Measured(peer.module.STEP_EVENTS) for peer in peers}
    for number in range(options.rounds):
        for peer in peers:
            options.say(f"round {number + 1} of {options.rounds}: {peer.title}")
            orders = Orders(
                peer=peer.name,
                load=peer.load,
                clients=options.clients,
                seconds=options.seconds,
                steps_per_second=(steps_per_second or {}).get(peer.key),
            )
            _turn(peer, orders, found[peer.key])
    return found


def _turn(peer: Peer, orders: Orders, into: Measured) -> None:
    with programs.beside(peer.module) as running:
        orders = replace(orders, variables=running.variables)
        cost = meters.Cost()
        meter = meters.measured(meters.servers() | running.pids, into=cost)
        done = clients.run(orders, meanwhile=meter)
    histogram = HdrHistogram(1, LONGEST_STEP_US, 3)
    for one in done:
        for second in one.step_seconds:
            histogram.record_value(max(1, round(second * 1e6)))
    into.histogram.add(histogram)
    into.p50_ms.append(histogram.get_value_at_percentile(50) / 1000)
    into.p99_ms.append(histogram.get_value_at_percentile(99) / 1000)
    events = sum(len(one.step_seconds) for one in done) * into.step_events
    into.errors += sum(one.errors for one in done)
    into.first_error = into.first_error or max(one.first_error for one in done)
    into.events_per_second.append(
        sum(len(one.step_seconds) * into.step_events / one.seconds for one in done)
    )
    cost.cpu_seconds["client"] = sum(one.cpu_seconds for one in done)
    for kind, cpu_seconds in cost.cpu_seconds.items():
        into.cpu_us[kind].append(cpu_seconds / events * 1e6)
    into.wal_bytes.append(cost.wal_bytes / events)


def result(
    title: str,
    peers: Sequence[Peer],
    found: Mapping[str, Measured],
    *,
    compared: Mapping[str, Sequence[str]],
) -> Result:
    """Return the peers' table, and the ratios of throughput that are asked for."""
    made = Result(title, Table([*HEADINGS, *COST_HEADINGS]))
    for peer in peers:
        if found[peer.key].errors:
            print(f"{peer.title} failed: {found[peer.key].first_error}")
    for peer in peers:
        one = found[peer.key]
        rate = figure(one.events_per_second)
        made.table.rows.append(
            [
                peer.title + (f" ({one.errors} errors)" if one.errors else ""),
                f"{rate.median:,.0f}",
                f"{rate.least:,.0f} to {rate.most:,.0f}",
                *(f"{one.at(share):.2f}" for share in (50, 99, 99.9)),
                *(_cost(one, kind) for kind in COSTS),
                f"{figure(one.wal_bytes).median:,.0f}",
            ]
        )
        made.drawn[peer.key] = {
            "title": peer.title,
            "events_per_second": asdict(rate),
            "cpu_us": {kind: figure(v).median for kind, v in one.cpu_us.items()},
            "wal_bytes": figure(one.wal_bytes).median,
            "percentiles_ms": {
                str(share): one.at(share) for share in (50, 75, 90, 95, 99, 99.9, 99.99)
            },
            "histogram": one.histogram.encode().decode(),
        }
    for ours, others in compared.items():
        for other in others:
            made.figures[f"{ours} ÷ {other}"] = ratios(
                found[ours].events_per_second, found[other].events_per_second
            )
    return made


def _cost(one: Measured, kind: str) -> str:
    return f"{figure(one.cpu_us[kind]).median:,.1f}" if kind in one.cpu_us else ""
