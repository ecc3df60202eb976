"""Adds and their peers: one hot counter, many counters, batches, more writers."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.clients import Load
from benchmarks.results import Result
from benchmarks.turns import Options, Peer, alternate, result

# More batches at once only wait for the processor.
BATCH_CLIENTS = 4
WRITERS = (1, 2, 4, 8, 16, 32, 64)
WRITER_PROCESSES = 4


def hot(options: Options) -> Result:
    """Add to one hot counter."""
    others = ["update_f", "slots", "bare_insert"]
    others += ["cache_incr", "cache_incr_always", "buffered"]
    return _compare("Add, one hot counter", [Peer("add"), *map(Peer, others)], options)


def in_request(options: Options) -> Result:
    """Add to one hot counter, each in a transaction that takes 5 ms more."""
    title = "Add inside a request's transaction, one hot counter"
    peers = [Peer("add_in_request"), Peer("update_f_in_request")]
    return _compare(title, peers, options)


def batches(options: Options) -> Result:
    """Add 1,000 events in one statement."""
    peers = [Peer("add_many"), Peer("bare_insert_many")]
    few = replace(options, clients=BATCH_CLIENTS)
    return _compare("Batch add of 1,000", peers, few)


def many(options: Options) -> Result:
    """Add over many counters, uniformly and by Zipf's law."""
    names = ["add", "update_f", "bare_insert"]
    counters = options.pick(full=100_000, quick=10_000)
    uniform, zipf = Load(counters, "uniform"), Load(counters, "zipf")
    peers = [Peer(name, load) for load in (uniform, zipf) for name in names]
    peers += [Peer("slots", uniform), Peer("buffered", uniform)]
    found = alternate(peers, options)
    compared = {
        f"add, {load.spread}": [f"{name}, {load.spread}" for name in names[1:]]
        for load in (uniform, zipf)
    }
    compared["add, uniform"] += ["slots, uniform", "buffered, uniform"]
    return result("Add, many counters", peers, found, compared=compared)


def writers(options: Options) -> Result:
    """Add with 1 to 64 writers: threads in up to four processes, without a worker."""
    load = Load(10_000, "uniform")
    peers = [
        Peer("add", load, clients=n, processes=WRITER_PROCESSES, programs=())
        for n in WRITERS
    ]
    return result("Writers", peers, alternate(peers, options), compared={})


def _compare(title: str, peers: list[Peer], options: Options) -> Result:
    """Compare the first peer with the others."""
    found = alternate(peers, options)
    ours, *others = [peer.key for peer in peers]
    return result(title, peers, found, compared={ours: others})
