"""Measures points that the calibration has not seen, and says what the model made of them."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.model import writers
from benchmarks.model.calibrating import middle
from benchmarks.model.demands import Demands
from benchmarks.model.system import Predicted, predict
from benchmarks.model.writers import Seen, Turn
from benchmarks.scaling import filling, workers

VALIDATION = Path(__file__).with_name("validation.json")
POINTS = [
    *(Turn(n, workers=1) for n in (1, 2, 4, 8, 16, 32)),
    *(Turn(4, batch=n, workers=1) for n in (10, 100, 1_000)),
    *(Turn(n, workers=2) for n in (4, 16)),
    Turn(4, batch=100, workers=2),
]
TURN_SECONDS, ROUNDS = 2.0, 3
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


def measure(say: Callable[[str], None]) -> list[tuple[Turn, Seen]]:
    """Measure all points, round after round, and return the medians."""
    counter_ids = filling.create_counters(writers.COUNTERS)
    found: dict[Turn, list[Seen]] = {turn: [] for turn in POINTS}
    with writers.started(max(turn.writers for turn in POINTS)) as pool:
        for number in range(ROUNDS):
            for processes in (1, 2):
                turns = [turn for turn in POINTS if turn.workers == processes]
                say(f"round {number + 1} of {ROUNDS}: {processes} workers")
                with workers.working(processes, counter_ids=counter_ids) as worker:
                    _turns(pool, turns, worker, found)
    return [(turn, middle(seen)) for turn, seen in found.items()]


def _turns(
    pool: ProcessPoolExecutor,
    turns: Sequence[Turn],
    worker: int,
    found: dict[Turn, list[Seen]],
) -> None:
    for turn in turns:
        found[turn].append(
            writers.measure(pool, turn, seconds=TURN_SECONDS, worker=worker)
        )
        workers.wait_until_folded()


def save(measured: Sequence[tuple[Turn, Seen]], path: Path = VALIDATION) -> None:
    rows = [{"turn": asdict(turn), "seen": asdict(seen)} for turn, seen in measured]
    cores = multiprocessing.cpu_count()
    path.write_text(json.dumps({"cores": cores, "points": rows}, indent=1) + "\n")


def compare(demands: Demands, path: Path = VALIDATION) -> list[Compared]:
    """Return each measured point beside what the model says of it.

    The model is given the cores that other programs left to the turn.
    """
    found = json.loads(path.read_text())
    compared = []
    for row in found["points"]:
        turn, seen = Turn(**row["turn"]), Seen(**row["seen"])
        run = writers.as_run(turn, seen, cores=found["cores"])
        compared.append(Compared(turn, seen, predict(demands, run)))
    return compared
