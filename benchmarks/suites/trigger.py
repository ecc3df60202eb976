"""The trigger: its share of an add, and adds while the broker fails."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import defaultdict
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

from benchmarks.results import Result, Table, figure, percentile, ratios
from benchmarks.turns import Options
from counters import events, signals
from rollups import receivers
from rollups.trigger import broker as publishing
from rollups.trigger import publisher, request
from tests.faults import brokers

WAYS = ("none", "background", "inline")
SHARE_THREADS = (1, 8)
# Healthy turns compared with healthy turns show the noise.
HEALTHY = "healthy again"
OUTAGES = {
    "valkey": (HEALTHY, "killed", "stopped", "out_of_memory", "read_only"),
    "rabbitmq": (HEALTHY, "killed", "stopped", "memory_alarm"),
}
MADE: dict[str, Any] = {"valkey": brokers.OwnValkey, "rabbitmq": brokers.OwnRabbitMQ}
FAULT_THREADS = 4
COUNTERS = 1_000


@dataclass
class Adds:
    """Adds of several threads in this process."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    cpu_seconds: float = 0.0

    def at(self, share: float) -> float:
        """Return a percentile, in microseconds; `share` is from 0 to 100."""
        return percentile(sorted(self.seconds), share) * 1e6

    @property
    def cpu(self) -> float:
        """Return the CPU time of this process for each add, in microseconds."""
        return self.cpu_seconds / len(self.seconds) * 1e6


def adds(measured: Adds, *, threads: int, seconds: float, counters: int) -> None:
    """Add from several threads for a time, each as fast as it can."""
    until = time.perf_counter() + seconds
    lock = threading.Lock()

    def write(number: int) -> None:
        mine, errors, turn = [], 0, number
        while (began := time.perf_counter()) < until:
            turn += 1
            try:
                events.add(namespace="bench", name=f"c{turn % counters}")
            except Exception:
                errors += 1
            mine.append(time.perf_counter() - began)
        connections.close_all()
        with lock:
            measured.seconds += mine
            measured.errors += errors

    before = time.process_time()
    running = [
        threading.Thread(target=write, args=(number,)) for number in range(threads)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    measured.cpu_seconds += time.process_time() - before


def trigger_share(options: Options) -> Result:
    """Compare CPU time and median of an add with its trigger and without."""
    made = Result(
        "The trigger's share of an add, one hot counter",
        Table(["threads", "trigger", "adds/s", "CPU µs", "÷ none", "p50 µs", "÷ none"]),
    )
    for threads in SHARE_THREADS:
        options.say(f"{threads} threads")
        found = _turns(threads, options)
        none = found["none"]
        for way in WAYS:
            turns = found[way]
            cpu = ratios([one.cpu for one in turns], [one.cpu for one in none])
            p50 = ratios([one.at(50) for one in turns], [one.at(50) for one in none])
            made.figures[f"CPU, {way} ÷ none, {threads} threads"] = cpu
            made.figures[f"p50, {way} ÷ none, {threads} threads"] = p50
            middle = turns[len(turns) // 2]
            made.table.rows.append(
                [
                    str(threads),
                    way,
                    f"{len(middle.seconds) / options.seconds:,.0f}",
                    f"{middle.cpu:.0f}",
                    str(cpu),
                    f"{middle.at(50):.0f}",
                    str(p50),
                ]
            )
    return made


def _turns(threads: int, options: Options) -> dict[str, list[Adds]]:
    seconds = options.seconds
    found: dict[str, list[Adds]] = defaultdict(list)
    adds(Adds(), threads=threads, seconds=seconds, counters=1)  # warm up
    for number in range(options.rounds * 2):
        # Each goes first as often as the others, so drift favours none.
        for way in WAYS[number % 3 :] + WAYS[: number % 3]:
            one = Adds()
            if way == "none":
                signals.events_committed.disconnect(receivers.fire_trigger)
            else:
                settings.ROLLUPS_TRIGGER = way
            adds(one, threads=threads, seconds=seconds, counters=1)
            signals.events_committed.connect(receivers.fire_trigger)
            found[way].append(one)
    return found


def trigger_faults(options: Options) -> Result:
    """Compare adds while the broker fails with adds while it is healthy, in turns."""
    settings.ROLLUPS_TRIGGER = "background"
    headings = ["broker", "outage", "adds", "errors", "p50 ÷ healthy", "p99 ÷ healthy"]
    made = Result(
        "Adds while the broker fails, compared with healthy turns",
        Table([*headings, "worst ms"]),
    )
    with ExitStack() as stack:
        for kind, outages in OUTAGES.items():
            if kind == "rabbitmq" and not brokers._RABBITMQ.exists():
                options.say("RabbitMQ is not installed: not measured")
                continue
            broker = _started(kind, stack)
            for outage in outages:
                options.say(f"{kind}: {outage}")
                _compare(made, options, broker, (kind, outage))
    return made


def _started(kind: str, stack: ExitStack) -> Any:
    broker = MADE[kind](Path(stack.enter_context(tempfile.TemporaryDirectory())))
    broker.start()
    stack.callback(getattr(broker, "end", broker.stop))
    return broker


def _compare(
    made: Result, options: Options, broker: Any, what: tuple[str, str]
) -> None:
    kind, outage = what
    publisher._publisher = ours = publisher.Publisher()
    ours.broker = publishing.Broker(broker.url)
    healthy, sick = [], []
    _adds(options)  # warm up
    for _ in range(options.rounds):
        healthy.append(_adds(options))
        with _outage(broker, outage):
            time.sleep(0.2)
            sick.append(_adds(options))
        _wait_until_well(ours)
    ours.flush(5)
    p50, p99 = (
        ratios([one.at(share) for one in sick], [one.at(share) for one in healthy])
        for share in (50, 99)
    )
    errors = sum(one.errors for one in sick)
    before = made.figures.get("errors", figure([0])).median
    made.figures["errors"] = figure([before + errors])
    made.figures[f"p99 ÷ healthy, {kind} {outage}"] = p99
    made.table.rows.append(
        [
            kind,
            outage,
            f"{sum(len(one.seconds) for one in sick):,}",
            str(errors),
            str(p50),
            str(p99),
            f"{max(one.at(100) for one in sick) / 1000:.0f}",
        ]
    )


def _adds(options: Options) -> Adds:
    one = Adds()
    adds(one, threads=FAULT_THREADS, seconds=options.seconds, counters=COUNTERS)
    return one


def _outage(broker: Any, name: str) -> AbstractContextManager[Any]:
    return nullcontext() if name == HEALTHY else getattr(broker, name)()


def _wait_until_well(ours: Any) -> None:
    deadline = time.monotonic() + 60
    before = ours.counts.published
    while ours.counts.published == before and time.monotonic() < deadline:
        ours.breaker.reset()
        request.request([1])
        time.sleep(0.1)
