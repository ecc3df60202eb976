"""Adds over many counters: all alike, and a few much more than the others."""

from __future__ import annotations

from benchmarks.loads import Load
from benchmarks.options import Options
from benchmarks.results import Result
from benchmarks.turns import Peer, alternate, result

TITLE = "Add, many counters"
NAMES = ["add", "update_f", "bare_insert"]


def measure(options: Options) -> Result:
    counters = options.pick(full=100_000, quick=10_000)
    uniform, zipf = Load(counters, "uniform"), Load(counters, "zipf")
    peers = [Peer(name, load) for load in (uniform, zipf) for name in NAMES]
    peers += [Peer("slots", uniform), Peer("buffered", uniform)]
    found = alternate(peers, options)
    compared = {
        f"add, {load.spread}": [f"{name}, {load.spread}" for name in NAMES[1:]]
        for load in (uniform, zipf)
    }
    compared["add, uniform"] += ["slots, uniform", "buffered, uniform"]
    return result(TITLE, peers, found, compared=compared)
