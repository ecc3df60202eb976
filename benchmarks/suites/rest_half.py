"""REST adds at half of what the machine can take: what a call takes when nothing queues."""

from __future__ import annotations

import statistics

from benchmarks.loads import Load
from benchmarks.options import Options
from benchmarks.results import Result, figure
from benchmarks.turns import Peer, alternate, result

TITLE = "REST add at half capacity, calls timed from when they were due"


def measure(options: Options) -> Result:
    many = Load(options.pick(full=100_000, quick=10_000), "uniform")
    peers = [Peer("rest_add", many), Peer("rest_update_f", many)]
    full = alternate(peers, options)
    half = {
        key: statistics.median(one.events_per_second) / 2 for key, one in full.items()
    }
    found = alternate(peers, options, steps_per_second=half)
    made = result(TITLE, peers, found, compared={})
    made.figures["p99, ms"] = figure(found[peers[0].key].p99_ms)
    return made
