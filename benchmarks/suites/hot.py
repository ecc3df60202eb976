"""Adds to one hot counter, from 16 processes at once."""

from __future__ import annotations

from benchmarks.options import Options
from benchmarks.results import Result
from benchmarks.turns import Peer, alternate, result

TITLE = "Add, one hot counter"
PEERS = [
    Peer("add"),
    Peer("update_f"),
    Peer("slots"),
    Peer("bare_insert"),
    Peer("cache_incr"),
    Peer("cache_incr_always"),
    Peer("buffered"),
]


def measure(options: Options) -> Result:
    found = alternate(PEERS, options)
    others = [peer.key for peer in PEERS[1:]]
    return result(TITLE, PEERS, found, compared={PEERS[0].key: others})
