"""REST: single calls compared with the plainest views, at full speed and at half; batches."""

from __future__ import annotations

import statistics

from benchmarks.clients import Load
from benchmarks.results import Result, figure, ratios
from benchmarks.suites.adds import BATCH_CLIENTS
from benchmarks.turns import Options, Peer, alternate, result


def rest(options: Options) -> Result:
    """Compare adds and reads with the plainest views, and batches with add_many."""
    many = _many(options)
    pairs = [
        (Peer("rest_add", many), Peer("plain_add", many)),
        (Peer("rest_add"), Peer("plain_add")),
        (Peer("rest_read", many), Peer("plain_read", many)),
        (
            Peer("rest_batch"),
            Peer("add_many", clients=BATCH_CLIENTS),
        ),
    ]
    with_token = Peer("rest_add_with_token")
    peers = [*(one for pair in pairs for one in pair), with_token]
    found = alternate(peers, options)
    compared = {ours.key: [theirs.key] for ours, theirs in pairs}
    compared[with_token.key] = [Peer("plain_add").key]
    made = result("REST", peers, found, compared=compared)
    batch = found[Peer("rest_batch").key]
    made.figures["batch, events/s"] = figure(batch.events_per_second)
    return made


def rest_half(options: Options) -> Result:
    """Measure the time of a call at half of each one's throughput, where nothing queues."""
    ours, plain = Peer("rest_add", _many(options)), Peer("plain_add", _many(options))
    full = alternate([ours, plain], options)
    half = {
        key: statistics.median(one.events_per_second) / 2 for key, one in full.items()
    }
    found = alternate([ours, plain], options, steps_per_second=half)
    title = "REST add at half capacity, calls timed from when they were due"
    made = result(title, [ours, plain], found, compared={})
    p99, plain_p99 = found[ours.key].p99_ms, found[plain.key].p99_ms
    made.figures["p99, ms"] = figure(p99)
    made.figures["p99 ÷ the plainest view's"] = ratios(p99, plain_p99)
    return made


def _many(options: Options) -> Load:
    return Load(options.pick(full=100_000, quick=10_000), "uniform")
