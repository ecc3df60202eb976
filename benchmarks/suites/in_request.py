"""Adds to one hot counter, each in a request's transaction that takes 5 ms more."""

from __future__ import annotations

from benchmarks.options import Options
from benchmarks.results import Result
from benchmarks.turns import Peer, alternate, result

TITLE = "Add inside a request's transaction, one hot counter"
PEERS = [Peer("add_in_request"), Peer("update_f_in_request")]


def measure(options: Options) -> Result:
    found = alternate(PEERS, options)
    return result(TITLE, PEERS, found, compared={PEERS[0].key: [PEERS[1].key]})
