"""The one number of the model that is fitted: how many jobs stay where they were woken."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from benchmarks.model.demands import Demands, Line
from benchmarks.model.system import predict
from benchmarks.model.writers import Seen, Turn, as_run

SHARES = [share / 10 for share in range(11)]
SIMULATED_SECONDS = 2.0


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


def _calls(demands: Demands, turn: Turn, one: Seen, cores: int) -> float:
    run = replace(as_run(turn, one, cores=cores), seconds=SIMULATED_SECONDS)
    return predict(demands, run).calls_per_second
