"""Adds and their peers: one hot counter, many counters, batches, more writers."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.clients import Load
from benchmarks.results import Result, figure, ratios
from benchmarks.turns import Options, Peer, alternate, result

# More batches at once only wait for the processor.
BATCH_CLIENTS = 4
WRITERS = (1, 2, 4, 8, 16, 32, 64)
NAMES = ["add", "update_f", "slots", "bare_insert", "add_with_token"]
IN_REDIS = ["buffered", "cache_incr", "cache_incr_always"]


def hot(options: Options) -> Result:
    """Add to one hot counter, as a web server does: threads in a few processes."""
    names = NAMES + options.pick(full=IN_REDIS, quick=[])
    return _hot("Add, one hot counter", names, options)


def hot_processes(options: Options) -> Result:
    """Add to one hot counter from processes with one connection each."""
    apart = replace(options, processes=options.clients)
    return _hot("Add, one hot counter, a process for each writer", NAMES, apart)


def _hot(title: str, names: list[str], options: Options) -> Result:
    peers = [Peer(name) for name in names]
    found = alternate(peers, options)
    others = [peer.key for peer in peers if peer.name not in {"add", "add_with_token"}]
    compared = {"add, hot": others, "add_with_token, hot": others}
    made = result(title, peers, found, compared=compared)
    ours, limit = found["add, hot"], found["bare_insert, hot"]
    made.figures["client CPU, add ÷ bare_insert"] = ratios(
        ours.cpu_us["client"], limit.cpu_us["client"]
    )
    made.figures["WAL bytes, add"] = figure(ours.wal_bytes)
    return made


def in_request(options: Options) -> Result:
    """Add to one hot counter, each in a transaction that takes 5 ms more."""
    title = "Add inside a request's transaction, one hot counter"
    peers = [Peer("add_in_request"), Peer("update_f_in_request")]
    compared = {peers[0].key: [peers[1].key]}
    return result(title, peers, alternate(peers, options), compared=compared)


def batches(options: Options) -> Result:
    """Add 1,000 events at once, without tokens and with."""
    pairs = {
        "add_many": "bare_insert_many",
        "add_many_with_tokens": "bare_insert_many_with_tokens",
    }
    peers = [Peer(name) for pair in pairs.items() for name in pair]
    found = alternate(peers, replace(options, clients=BATCH_CLIENTS))
    compared = {f"{ours}, hot": [f"{limit}, hot"] for ours, limit in pairs.items()}
    return result("Batch add of 1,000", peers, found, compared=compared)


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
    """Add with 1 to 64 writers, without a worker."""
    load = Load(10_000, "uniform")
    peers = [Peer("add", load, clients=n, programs=()) for n in WRITERS]
    return result("Writers", peers, alternate(peers, options), compared={})
