"""Operational laws and textbook results: what the simulation is held against.

Denning and Buzen, The Operational Analysis of Queueing Network Models (1978); Reiser and
Lavenberg, Mean-Value Analysis of Closed Multichain Queueing Networks (1980).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """What no closed system can exceed, whatever its distributions (per second)."""

    # Without any queueing: the customers over the time that one needs.
    alone: float
    # The busiest station, always busy.
    saturated: float

    @property
    def throughput(self) -> float:
        return min(self.alone, self.saturated)


def in_system(*, throughput: float, response: float) -> float:
    """Return how many are in the system: Little's law, N = X R."""
    return throughput * response


def utilisation(*, throughput: float, demand: float, servers: int = 1) -> float:
    """Return the share of a station that is busy: U = X D / servers."""
    return throughput * demand / servers


def bounds(
    *, customers: int, demands: Sequence[tuple[float, int]], delay: float = 0.0
) -> Bounds:
    """Return the asymptotic bounds of a closed network.

    `demands` are seconds and servers of each station; `delay` is spent without queueing.
    """
    needed = delay + sum(demand for demand, _ in demands)
    return Bounds(
        customers / needed, min(servers / demand for demand, servers in demands)
    )


def closed_throughput(
    *, customers: int, demands: Sequence[float], delay: float = 0.0
) -> float:
    """Return the throughput of a closed network of single-server stations (exact MVA)."""
    queues = [0.0] * len(demands)
    throughput = 0.0
    for n in range(1, customers + 1):
        residences = [
            demand * (1 + queue) for demand, queue in zip(demands, queues, strict=True)
        ]
        throughput = n / (delay + sum(residences))
        queues = [throughput * residence for residence in residences]
    return throughput


def response_of_one_server(*, arrivals: float, demand: float) -> float:
    """Return the mean response time of M/M/1: S / (1 - rho)."""
    return demand / (1 - arrivals * demand)


def response_of_servers(*, arrivals: float, demand: float, servers: int) -> float:
    """Return the mean response time of M/M/c, by Erlang's C."""
    load = arrivals * demand
    full = load**servers / math.factorial(servers) * servers / (servers - load)
    waits = full / (sum(load**k / math.factorial(k) for k in range(servers)) + full)
    return demand + waits * demand / (servers - load)


def machines(
    *, throughput: float, demand: float, cores: int, at_most: float = 0.6
) -> int:
    """Return how many machines keep their cores no busier than `at_most`."""
    return math.ceil(throughput * demand / (cores * at_most))
