"""The memory of every process over ten minutes of load.

Web, worker and beat run as `make run` starts them. 16 clients add over REST at half of
the throughput.
"""

from __future__ import annotations

import statistics
import threading
from contextlib import nullcontext

import psutil

from benchmarks import clients, programs
from benchmarks.clients import Load, Orders
from benchmarks.peers.registry import WAYS
from benchmarks.programs import Running
from benchmarks.results import Result, Table, figure
from benchmarks.turns import Options

SECONDS = 600
SAMPLE_EVERY_SECONDS = 5.0
# Of the run, before the first comparison: caches fill, allocators settle.
SETTLED = 0.3
LOAD = Load(10_000, "zipf")


def memory(options: Options) -> Result:
    """Compare the memory at the end with the memory once it has settled."""
    WAYS["rest_add"].setup(LOAD.counters)
    seconds = options.pick(full=SECONDS, quick=60)
    running = Running()
    samples: dict[str, list[float]] = {}
    with programs.web(running), programs.worker(running), programs.beat(running):
        probe = _orders(running, options, seconds=5, steps_per_second=None)
        rate = clients.run(probe, meanwhile=nullcontext()).steps_per_second
        orders = _orders(running, options, seconds=seconds, steps_per_second=rate / 2)
        ends = threading.Event()
        watcher = threading.Thread(target=_watch, args=(running, samples, ends))
        watcher.start()
        clients.run(orders, meanwhile=nullcontext())
        ends.set()
        watcher.join()
    return _result(samples, rate / 2)


def _orders(
    running: Running,
    options: Options,
    *,
    seconds: float,
    steps_per_second: float | None,
) -> Orders:
    return Orders(
        peer="rest_add",
        load=LOAD,
        clients=options.clients,
        processes=options.processes,
        seconds=seconds,
        steps_per_second=steps_per_second,
        variables=running.variables,
    )


def _watch(
    running: Running, samples: dict[str, list[float]], ends: threading.Event
) -> None:
    while not ends.wait(SAMPLE_EVERY_SECONDS):
        for kind, pid in running.pids.items():
            parent = psutil.Process(pid)
            for number, one in enumerate([parent, *parent.children(recursive=True)]):
                # Private pages: pages of the code are shared and do not grow.
                own = one.memory_full_info().uss / 2**20
                samples.setdefault(f"{kind} {number}", []).append(own)


def _result(samples: dict[str, list[float]], rate: float) -> Result:
    made = Result(
        f"Memory over ten minutes, {rate:,.0f} adds/s",
        Table(["process", "MB settled", "MB at the end", "÷"]),
    )
    for name, sizes in samples.items():
        first = sizes[int(len(sizes) * SETTLED) :][: len(sizes) // 5]
        settled = statistics.median(first)
        end = statistics.median(sizes[-len(sizes) // 5 :])
        made.table.rows.append(
            [name, f"{settled:.1f}", f"{end:.1f}", f"{end / settled:.3f}"]
        )
        made.figures[f"end ÷ settled, {name}"] = figure([end / settled])
    most = max(one.median for one in made.figures.values())
    made.figures["most grown"] = figure([most])
    return made
