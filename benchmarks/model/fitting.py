"""What the calibration works out from whole runs, because nothing shows it alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.model.demands import Curve, Demands, Line
from benchmarks.model.system import Predicted, predict
from benchmarks.model.writers import Seen, Turn, as_run

SHARES = [share / 10 for share in range(11)]
SIMULATED_SECONDS = 2.0
# What takes more CPU makes fewer calls and other messages, which changes what is taken: after
# so many rounds nothing moves.
ROUNDS = 4
# What caches explain. Where a worker has no more time, it takes no more of it either, whatever
# a message of it is said to take, and the factor would grow for ever.
LEAST, MOST = 0.5, 2.0


def fitted(demands: Demands, seen: Mapping[Turn, Seen], *, cores: int) -> Demands:
    """Return the demands with what comes nearest to the calibration's own turns.

    `beside_*` from the CPU time that writers, PostgreSQL and a worker took together, for each
    share of jobs that stay where they were woken; and of these shares the one with which the
    calls come nearest. No point that the model is held against is among the turns.
    """
    candidates = [
        beside(replace(demands, sticky=share), seen, cores=cores) for share in SHARES
    ]
    return min(candidates, key=lambda one: distance(one, seen, cores=cores))


def distance(demands: Demands, seen: Mapping[Turn, Seen], *, cores: int) -> float:
    """Return how far off the model's calls are, all turns together."""
    return sum(
        math.log(
            _predicted(demands, turn, one, cores).calls_per_second
            / one.calls_per_second
        )
        ** 2
        for turn, one in seen.items()
    )


def beside(demands: Demands, seen: Mapping[Turn, Seen], *, cores: int) -> Demands:
    """Return the demands with what sharing the cores makes of each: CPU, not throughput.

    From the turns beside a worker. What a message or a fold takes is measured alone, with
    all it needs in the caches; beside writers it takes another amount, and so do the writers.
    By the number of writers, since it is the crowd that empties the caches; batches by their
    size.
    """
    together = {turn: one for turn, one in seen.items() if turn.workers}
    for _ in range(ROUNDS):
        points: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for turn, one in sorted(together.items(), key=_size):
            found = _predicted(demands, turn, one, cores)
            ratios = {"beside_batch": one.postgres_cpu / found.postgres_cpu}
            if turn.batch == 1:
                ratios = {
                    "beside_client": one.client_cpu / found.client_cpu,
                    "beside_postgres": one.postgres_cpu / found.postgres_cpu,
                    "beside_worker": one.worker_cpu / found.worker_cpu,
                }
            by = turn.writers if turn.batch == 1 else turn.batch
            for name, ratio in ratios.items():
                factor = getattr(demands, name).of(by) * ratio
                points[name].append((by, min(max(factor, LEAST), MOST)))
        factors: dict[str, Any] = {name: Curve(each) for name, each in points.items()}
        demands = replace(demands, **factors)
    return demands


def _size(item: tuple[Turn, Seen]) -> tuple[int, int]:
    return item[0].batch, item[0].writers


def _predicted(demands: Demands, turn: Turn, one: Seen, cores: int) -> Predicted:
    if turn.trigger == "off":
        demands = replace(
            demands, message_client=0.0, message_broker=0.0, ask=Line(0.0, 0.0)
        )
    run = replace(as_run(turn, one, cores=cores), seconds=SIMULATED_SECONDS)
    return predict(demands, run)
