"""Points that the calibration has not seen, and what the model makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.model import measuring, writers
from benchmarks.model.demands import Demands
from benchmarks.model.system import Predicted, predict
from benchmarks.model.writers import Seen, Turn

POINTS = [
    *(Turn(n, workers=1) for n in (2, 4, 8, 16, 32)),
    *(Turn(4, batch=n, workers=1) for n in (10, 100, 1_000)),
    *(Turn(n, workers=2) for n in (4, 8, 16)),
    Turn(4, batch=100, workers=2),
]
WITHIN = 0.2


@dataclass(frozen=True, slots=True)
class Compared:
    """A point: what was measured, and what the model says of it."""

    turn: Turn
    seen: Seen
    predicted: Predicted

    @property
    def throughput_error(self) -> float:
        return self.predicted.calls_per_second / self.seen.calls_per_second - 1

    @property
    def response_error(self) -> float:
        return self.predicted.mean_ms / self.seen.mean_ms - 1

    @property
    def holds(self) -> bool:
        return max(abs(self.throughput_error), abs(self.response_error)) <= WITHIN


def compare(demands: Demands, path: Path = measuring.MEASURED) -> list[Compared]:
    """Return each measured point beside what the model says of it.

    The model is given the cores that other programs left to the turn.
    """
    seen, cores = measuring.load(path)
    return [
        Compared(
            turn,
            seen[turn],
            predict(demands, writers.as_run(turn, seen[turn], cores=cores)),
        )
        for turn in POINTS
    ]
