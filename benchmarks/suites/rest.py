"""REST: single adds beside the plainest view, and batches."""

from __future__ import annotations

from benchmarks.loads import HOT, Load
from benchmarks.options import Options
from benchmarks.results import Result, figure
from benchmarks.turns import Peer, alternate, result

TITLE = "REST"


def measure(options: Options) -> Result:
    many = Load(options.pick(full=100_000, quick=10_000), "uniform")
    adds = [Peer("rest_add", many), Peer("rest_add", HOT)]
    plain = [Peer("rest_update_f", many), Peer("rest_update_f", HOT)]
    batch = Peer("rest_batch", many)
    peers = [adds[0], plain[0], adds[1], plain[1], batch]
    found = alternate(peers, options)
    compared = {a.key: [b.key] for a, b in zip(adds, plain, strict=True)}
    made = result(TITLE, peers, found, compared=compared)
    made.figures["batch, events/s"] = figure(found[batch.key].events_per_second)
    return made
