"""`python -m benchmarks.trigger_faults`: adds while the broker is sick, in turns.

For each outage: healthy, sick, healthy, sick, ... in one run, and the sick adds' p99 as a
ratio of the healthy ones'. RabbitMQ is measured where it is installed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.ground import Measured, adds, prepared

OUTAGES = {
    "valkey": ("none", "killed", "stopped", "out_of_memory", "read_only"),
    "rabbitmq": ("none", "killed", "stopped", "memory_alarm"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--counters", type=int, default=1000)
    parser.add_argument("--modes", nargs="*", default=["background", "inline"])
    parser.add_argument("--kinds", nargs="*", default=list(OUTAGES))
    options = parser.parse_args()
    table = Table(
        title="Adds while the broker is sick, beside healthy ones of the same run"
    )
    heads = (
        "broker",
        "outage",
        "mode",
        "adds",
        "errors",
        "p50 / healthy",
        "p99 / healthy",
    )
    for head in (*heads, "worst ms", "memory kB"):
        table.add_column(head, justify="right")
    with prepared(), ExitStack() as stack:
        for kind in options.kinds:
            broker = _started(kind, stack)
            for outage in OUTAGES[kind]:
                for mode in options.modes:
                    _measure(table, options, broker, (kind, outage, mode))
    Console(width=120).print(table)


def _started(kind: str, stack: ExitStack) -> Any:
    brokers: Any = import_module("tests.faults.brokers")
    directory = stack.enter_context(tempfile.TemporaryDirectory())
    made = {"valkey": brokers.OwnValkey, "rabbitmq": brokers.OwnRabbitMQ}[kind]
    broker = made(Path(directory))
    broker.start()
    stack.callback(getattr(broker, "end", broker.stop))
    return broker


def _measure(
    table: Table, options: Any, broker: Any, what: tuple[str, str, str]
) -> None:
    _, outage, mode = what
    publisher: Any = import_module("rollups.publisher")
    publishing: Any = import_module("rollups.publishing")
    settings: Any = import_module("django.conf").settings
    settings.ROLLUPS_TRIGGER = mode
    publisher.breaker.reset()
    publisher._publisher = made = publisher.Publisher(publisher.breaker)
    made.broker = publishing.Broker(broker.url)
    healthy, sick = Measured(), Measured()
    run = {
        "threads": options.threads,
        "seconds": options.seconds,
        "counters": options.counters,
    }
    adds(Measured(), **run)
    grown = 0
    for _ in range(options.rounds):
        adds(healthy, **run)
        with _outage(broker, outage):
            time.sleep(0.2)
            before = psutil.Process().memory_info().rss
            adds(sick, **run)
            grown = max(grown, psutil.Process().memory_info().rss - before)
        _wait_until_well(made, publisher)
    made.flush(5)
    table.add_row(
        *what,
        f"{len(sick.seconds):,}",
        str(sick.errors),
        f"{sick.at(0.5) / healthy.at(0.5):.2f}",
        f"{sick.at(0.99) / healthy.at(0.99):.2f}",
        f"{sick.at(1.0) / 1000:.0f}",
        f"{grown / 1024:,.0f}",
    )


def _outage(broker: Any, name: str) -> AbstractContextManager[Any]:
    return _nothing() if name == "none" else getattr(broker, name)()


@contextmanager
def _nothing() -> Iterator[None]:
    """No outage: what two healthy turns differ by."""
    yield


def _wait_until_well(made: Any, publisher: Any) -> None:
    trigger: Any = import_module("rollups.trigger")
    deadline = time.monotonic() + 60
    before = made.tally.published
    while made.tally.published == before and time.monotonic() < deadline:
        publisher.breaker.reset()
        trigger.request([1])
        time.sleep(0.1)


if __name__ == "__main__":
    main()
