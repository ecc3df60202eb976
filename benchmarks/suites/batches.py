"""Batches of 1,000 events in one statement."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.options import Options
from benchmarks.results import Result
from benchmarks.turns import Peer, alternate, result

TITLE = "Batch add of 1,000"
PEERS = [Peer("add_many"), Peer("bare_insert_many")]
# More wait for the processor only: a batch keeps a core busy by itself.
CLIENTS = 4


def measure(options: Options) -> Result:
    found = alternate(PEERS, replace(options, clients=CLIENTS))
    return result(TITLE, PEERS, found, compared={PEERS[0].key: [PEERS[1].key]})
