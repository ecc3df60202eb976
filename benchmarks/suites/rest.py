"""REST: single adds compared with the plainest view, at full speed and at half; batches."""

from __future__ import annotations

import statistics

from benchmarks.clients import HOT, Load
from benchmarks.results import Result, figure
from benchmarks.turns import Options, Peer, alternate, result


def rest(options: Options) -> Result:
    """Compare single adds with the plainest view, and measure batches."""
    many = _many(options)
    adds = [Peer("rest_add", many), Peer("rest_add", HOT)]
    plain = [Peer("rest_update_f", many), Peer("rest_update_f", HOT)]
    batch = Peer("rest_batch", many)
    peers = [adds[0], plain[0], adds[1], plain[1], batch]
    found = alternate(peers, options)
    compared = {a.key: [b.key] for a, b in zip(adds, plain, strict=True)}
    made = result("REST", peers, found, compared=compared)
    made.figures["batch, events/s"] = figure(found[batch.key].events_per_second)
    return made


def rest_half(options: Options) -> Result:
    """Measure the time of a call at half of the throughput, where nothing queues."""
    peers = [Peer("rest_add", _many(options)), Peer("rest_update_f", _many(options))]
    full = alternate(peers, options)
    half = {
        key: statistics.median(one.events_per_second) / 2 for key, one in full.items()
    }
    found = alternate(peers, options, steps_per_second=half)
    title = "REST add at half capacity, calls timed from when they were due"
    made = result(title, peers, found, compared={})
    made.figures["p99, ms"] = figure(found[peers[0].key].p99_ms)
    return made


def _many(options: Options) -> Load:
    return Load(options.pick(full=100_000, quick=10_000), "uniform")
