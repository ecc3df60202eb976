"""Partitions: two hosts that do not hear each other, or of which one does not."""

from __future__ import annotations

from functools import partial

from tests.harness.hosts import Hosts

# Of each kind of host there are several, but for the last two and the client.
PAIRS = (
    ("client", "web"),
    ("web", "database"),
    ("web", "broker"),
    ("worker", "database"),
    ("worker", "broker"),
)
NAMES = tuple(f"{one}-{other} partitioned" for one, other in PAIRS)
_SINGLE = {"client", "database", "broker"}


class Partition:
    """Which two hosts, and in which direction, is the twist's choice."""

    def __init__(self, hosts: Hosts, name: str, twist: float, *, nodes: int) -> None:
        pair = PAIRS[NAMES.index(name)]
        number = int(twist * nodes) + 1
        one, other = (host if host in _SINGLE else f"{host} {number}" for host in pair)
        # Both directions in half of all cases, else one of them.
        way = int(twist * 1000) % 4
        ways = {0: [(one, other)], 1: [(other, one)]}.get(
            way, [(one, other), (other, one)]
        )
        self._cut = [partial(hosts.cut, *each) for each in ways]
        self._join = [partial(hosts.join, *each) for each in ways]

    def inject(self) -> None:
        for each in self._cut:
            each()

    def heal(self) -> None:
        for each in self._join:
            each()
