"""Measures turns of writers: those that calibrate, and those that the model is held against.

They take turns in the same rounds, so that a machine that is slower for some minutes is slower
for both. What is learnt from which turn is the affair of `calibrating` and `validating`.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.model import writers
from benchmarks.model.writers import Seen, Turn
from benchmarks.scaling import filling, workers

TURN_SECONDS, ROUNDS = 2.0, 5
MEASURED = Path(__file__).with_name("measured.json")


def measure(
    turns: Sequence[Turn], counter_ids: Sequence[int], say: Callable[[str], None]
) -> dict[Turn, Seen]:
    """Return the medians of each turn, measured A B C, A B C, ..."""
    found: dict[Turn, list[Seen]] = {turn: [] for turn in turns}
    with writers.started(max(turn.writers for turn in turns)) as pool:
        for number in range(ROUNDS):
            for processes in sorted({turn.workers for turn in turns}):
                say(f"round {number + 1} of {ROUNDS}: {processes} worker processes")
                mine = [turn for turn in turns if turn.workers == processes]
                with _working(processes, counter_ids) as worker:
                    _take(pool, mine, worker, found)
    return {turn: _middle(seen) for turn, seen in found.items()}


@contextmanager
def _working(processes: int, counter_ids: Sequence[int]) -> Iterator[int | None]:
    """Run a worker of so many processes; without one, fold at the end what was written."""
    if processes:
        with workers.working(processes, counter_ids=counter_ids) as worker:
            yield worker
        return
    yield None
    draining: Any = import_module("rollups.draining")
    for _ in draining.drain():
        pass
    filling.execute("VACUUM ANALYZE")


def _take(
    pool: ProcessPoolExecutor,
    turns: Sequence[Turn],
    worker: int | None,
    found: dict[Turn, list[Seen]],
) -> None:
    for turn in turns:
        found[turn].append(
            writers.measure(pool, turn, seconds=TURN_SECONDS, worker=worker)
        )
        if worker:
            workers.wait_until_folded()


def _middle(seen: Sequence[Seen]) -> Seen:
    """Return the medians of several turns."""
    return Seen(
        *(
            statistics.median(getattr(one, name) for one in seen)
            for name in Seen.__dataclass_fields__
        )
    )


def save(seen: Mapping[Turn, Seen], path: Path = MEASURED) -> None:
    rows = [{"turn": asdict(turn), "seen": asdict(one)} for turn, one in seen.items()]
    cores = multiprocessing.cpu_count()
    path.write_text(json.dumps({"cores": cores, "turns": rows}, indent=1) + "\n")


def load(path: Path = MEASURED) -> tuple[dict[Turn, Seen], int]:
    """Return what was seen of each turn, and on how many cores."""
    found = json.loads(path.read_text())
    seen = {Turn(**row["turn"]): Seen(**row["seen"]) for row in found["turns"]}
    return seen, found["cores"]
