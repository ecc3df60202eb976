"""What the calibration works out from whole runs, because nothing shows it alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import replace

from benchmarks.model.demands import Demands, Line
from benchmarks.model.system import predict
from benchmarks.model.writers import Seen, Turn, as_run

SHARES = [share / 10 for share in range(11)]
SIMULATED_SECONDS = 2.0
# What takes more CPU makes fewer calls and other messages, which changes what is taken: after
# so many rounds nothing moves.
ROUNDS = 4


def sticky(demands: Demands, seen: Mapping[Turn, Seen], *, cores: int) -> float:
    """Return the share with which the model comes nearest to these turns.

    They are the calibration's own, without a worker and with the trigger off. No point that
    the model is held against is among them.
    """
    alone = replace(demands, message_client=0.0, message_broker=0.0, ask=Line(0.0, 0.0))

    def distance(share: float) -> float:
        model = replace(alone, sticky=share)
        return sum(
            math.log(_calls(model, turn, one, cores) / one.calls_per_second) ** 2
            for turn, one in seen.items()
        )

    return min(SHARES, key=distance)


def beside(demands: Demands, seen: Mapping[Turn, Seen], *, cores: int) -> Demands:
    """Return the demands with what sharing the cores makes of each: CPU, not throughput.

    The turns are of writers beside a worker. What a message or a fold takes is measured
    alone, with all it needs in the caches; beside writers it takes up to twice as much, and
    so do the writers a part. None of these turns is one that the model is held against.
    """
    for _ in range(ROUNDS):
        ratios: dict[str, list[float]] = {"client": [], "postgres": [], "worker": []}
        for turn, one in seen.items():
            run = replace(as_run(turn, one, cores=cores), seconds=SIMULATED_SECONDS)
            found = predict(demands, run)
            for kind, of_kind in ratios.items():
                taken, simulated = (getattr(x, f"{kind}_cpu") for x in (one, found))
                of_kind.append(taken / simulated)
        demands = replace(
            demands,
            **{
                f"beside_{kind}": getattr(demands, f"beside_{kind}")
                * statistics.geometric_mean(of_kind)
                for kind, of_kind in ratios.items()
            },
        )
    return demands


def _calls(demands: Demands, turn: Turn, one: Seen, cores: int) -> float:
    run = replace(as_run(turn, one, cores=cores), seconds=SIMULATED_SECONDS)
    return predict(demands, run).calls_per_second
