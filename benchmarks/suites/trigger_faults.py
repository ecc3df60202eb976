"""Adds while the broker is sick: healthy, sick, healthy, sick, ... in one run.

RabbitMQ is measured where it is installed. Healthy beside healthy says how far two turns
lie apart by themselves.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

from django.conf import settings

from benchmarks.ground import Measured, adds
from benchmarks.options import Options
from benchmarks.results import Result, Table, ratios
from rollups.trigger import broker as publishing
from rollups.trigger import publisher, request
from tests.faults import brokers

TITLE = "Adds while the broker is sick, beside healthy ones"
HEALTHY = "healthy again"
OUTAGES = {
    "valkey": (HEALTHY, "killed", "stopped", "out_of_memory", "read_only"),
    "rabbitmq": (HEALTHY, "killed", "stopped", "memory_alarm"),
}
MADE: dict[str, Any] = {"valkey": brokers.OwnValkey, "rabbitmq": brokers.OwnRabbitMQ}
THREADS = 4
COUNTERS = 1_000


def measure(options: Options) -> Result:
    settings.ROLLUPS_TRIGGER = "background"
    headings = ["broker", "outage", "adds", "errors", "p50 ÷ healthy", "p99 ÷ healthy"]
    made = Result(TITLE, Table([*headings, "worst ms"]))
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
    publisher.breaker.reset()
    publisher._publisher = ours = publisher.Publisher(publisher.breaker)
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
        for share in (0.5, 0.99)
    )
    errors = sum(one.errors for one in sick)
    made.figures[f"p99 ÷ healthy, {kind} {outage}"] = p99
    made.table.rows.append(
        [
            kind,
            outage,
            f"{sum(len(one.seconds) for one in sick):,}",
            str(errors),
            str(p50),
            str(p99),
            f"{max(one.at(1.0) for one in sick) / 1000:.0f}",
        ]
    )
    made.drawn[f"{kind} {outage}"] = {"errors": errors}


def _adds(options: Options) -> Measured:
    one = Measured()
    adds(one, threads=THREADS, seconds=options.seconds, counters=COUNTERS)
    return one


def _outage(broker: Any, name: str) -> AbstractContextManager[Any]:
    return nullcontext() if name == HEALTHY else getattr(broker, name)()


def _wait_until_well(ours: Any) -> None:
    deadline = time.monotonic() + 60
    before = ours.tally.published
    while ours.tally.published == before and time.monotonic() < deadline:
        publisher.breaker.reset()
        request.request([1])
        time.sleep(0.1)
