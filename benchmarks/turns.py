"""Peers side by side: A B C, A B C, ... in one run, each turn with its costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar
from urllib.parse import urlsplit

import psutil
import redis
from django.conf import settings
from django.db import connection

from benchmarks import clients, programs
from benchmarks.clients import HOT, Load, Orders
from benchmarks.data import fold_all
from benchmarks.peers import Way
from benchmarks.peers.registry import WAYS
from benchmarks.programs import Running
from benchmarks.results import Result, Table, figure, percentile, ratios
from benchmarks.servers import execute

HEADINGS = ["", "events/s", "least to most", "p50 ms", "p99 ms", "p99.9 ms"]
COSTS = ["client", "web", "worker", "PostgreSQL", "Valkey"]
# CPU time of each kind of process, and WAL, for one event.
COST_HEADINGS = ["client µs", "web µs", "worker µs", "PG µs", "Valkey µs", "WAL B"]
Size = TypeVar("Size")
WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How long and how often to measure; `say` prints the progress."""

    seconds: float
    rounds: int
    clients: int
    processes: int
    quick: bool
    say: Callable[[str], None]

    def pick(self, *, full: Size, quick: Size) -> Size:
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to count under one load.

    By default with all clients, shared by all processes, and with the programs of its way.
    """

    name: str
    load: Load = HOT
    clients: int | None = None
    processes: int | None = None
    programs: tuple[str, ...] | None = None

    @property
    def way(self) -> Way:
        return WAYS[self.name]

    @property
    def needs(self) -> tuple[str, ...]:
        return self.way.programs if self.programs is None else self.programs

    @property
    def key(self) -> str:
        return f"{self.name}, {self.load.spread}{self._writers}"

    @property
    def title(self) -> str:
        return f"{self.way.title}, {self.load.words}{self._writers}"

    @property
    def _writers(self) -> str:
        return "" if self.clients is None else f", {self.clients} writers"


@dataclass(slots=True)
class Cost:
    """CPU seconds by kind of process, and bytes of WAL, of one turn."""

    cpu_seconds: dict[str, float] = field(default_factory=dict)
    wal_bytes: int = 0


@dataclass(slots=True)
class Measured:
    """The turns of one peer: a value a turn, and all steps."""

    events_per_second: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    cpu_us: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wal_bytes: list[float] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)
    errors: int = 0
    first_error: str = ""


def alternate(
    peers: Sequence[Peer],
    options: Options,
    *,
    steps_per_second: Mapping[str, float] | None = None,
) -> dict[str, Measured]:
    """Measure every peer once a round; return the turns of each, by its key.

    `steps_per_second` by key; without it each peer runs at full speed. All programs run
    from the beginning, so no turn pays for a start. Those of other peers wait.
    """
    for peer in peers:
        peer.way.setup(peer.load.counters)
    found = {peer.key: Measured() for peer in peers}
    needed = dict.fromkeys(name for peer in peers for name in peer.needs)
    with programs.running(needed) as started:
        for number in range(options.rounds):
            for peer in peers:
                options.say(f"round {number + 1} of {options.rounds}: {peer.title}")
                orders = Orders(
                    peer=peer.name,
                    load=peer.load,
                    clients=peer.clients or options.clients,
                    processes=peer.processes or options.processes,
                    seconds=options.seconds,
                    steps_per_second=(steps_per_second or {}).get(peer.key),
                )
                used = [started[name] for name in peer.needs]
                _turn(peer, orders, used, found[peer.key])
    return found


def _turn(peer: Peer, orders: Orders, used: list[Running], into: Measured) -> None:
    cost, pids = Cost(), servers()
    for program in used:
        pids |= program.pids
        orders = replace(orders, variables={**orders.variables, **program.variables})
    turn = clients.run(orders, meanwhile=costs(pids, into=cost))
    fold_all()
    steps = sorted(second for one in turn.clients for second in one.step_seconds)
    events = len(steps) * peer.way.step_events
    into.step_seconds += steps
    into.p99_ms.append(percentile(steps, 99) * 1e3)
    into.errors += sum(one.errors for one in turn.clients)
    into.first_error = into.first_error or max(one.first_error for one in turn.clients)
    into.events_per_second.append(turn.steps_per_second * peer.way.step_events)
    cost.cpu_seconds["client"] = turn.cpu_seconds
    for kind, cpu_seconds in cost.cpu_seconds.items():
        into.cpu_us[kind].append(cpu_seconds / events * 1e6)
    into.wal_bytes.append(cost.wal_bytes / events)


@contextmanager
def costs(pids: Mapping[str, int], *, into: Cost) -> Iterator[None]:
    """Measure the CPU time of each kind of process, and the WAL, of the block."""
    before = {kind: programs.cpu_seconds(pid) for kind, pid in pids.items()}
    [(wal,)] = execute(WAL)
    yield
    [(wal_after,)] = execute(WAL)
    into.wal_bytes = wal_after - wal
    into.cpu_seconds = {
        kind: programs.cpu_seconds(pid) - before[kind] for kind, pid in pids.items()
    }


def servers() -> dict[str, int]:
    """Return the process ids of PostgreSQL and Valkey, if they run on this machine."""
    found: dict[str, int] = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [(backend,)] = cursor.fetchall()
    if psutil.pid_exists(backend) and (parent := psutil.Process(backend).parent()):
        found["PostgreSQL"] = parent.pid
    url = settings.CACHES["default"]["LOCATION"]
    if urlsplit(url).hostname in {"127.0.0.1", "localhost"}:
        with redis.Redis.from_url(url) as client:
            found["Valkey"] = int(client.info("server")["process_id"])
    return found


def result(
    title: str,
    peers: Sequence[Peer],
    found: Mapping[str, Measured],
    *,
    compared: Mapping[str, Sequence[str]],
) -> Result:
    """Return the peers' table, and the asked ratios of throughput."""
    made = Result(title, Table([*HEADINGS, *COST_HEADINGS]))
    for peer in peers:
        one = found[peer.key]
        if one.errors:
            print(f"{peer.title} failed: {one.first_error}")
        rate = figure(one.events_per_second)
        ordered = sorted(one.step_seconds)
        made.table.rows.append(
            [
                peer.title + (f" ({one.errors} errors)" if one.errors else ""),
                f"{rate.median:,.0f}",
                f"{rate.least:,.0f} to {rate.most:,.0f}",
                *(f"{percentile(ordered, p) * 1e3:.2f}" for p in (50, 99, 99.9)),
                *(_cost(one, kind) for kind in COSTS),
                f"{figure(one.wal_bytes).median:,.0f}",
            ]
        )
        made.rates[peer.title] = rate
    for ours, others in compared.items():
        for other in others:
            made.figures[f"{ours} ÷ {other}"] = ratios(
                found[ours].events_per_second, found[other].events_per_second
            )
    return made


def _cost(one: Measured, kind: str) -> str:
    return f"{figure(one.cpu_us[kind]).median:,.1f}" if kind in one.cpu_us else ""
