"""Measures turns of writers: those that calibrate, and those that the model is held against.

They take turns in the same rounds, with what runs alone, so that a machine that is slower for
some minutes is slower for all. What is learnt from which turn is the affair of `calibrating`
and `validating`.
"""

from __future__ import annotations

import json
import multiprocessing
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from benchmarks.model import alone, writers
from benchmarks.model.alone import Alone
from benchmarks.model.writers import Seen, Turn
from benchmarks.scaling import filling, workers

TURN_SECONDS, ROUNDS = 2.0, 8
MEASURED = Path(__file__).with_name("measured.json")


def measure(
    turns: Sequence[Turn], counter_ids: list[int], say: Callable[[str], None]
) -> tuple[dict[Turn, Seen], Alone]:
    """Return each turn and what runs alone, of several rounds as others disturbed it least.

    In another order each round: what was written before a turn is never the same, nor what the
    neighbours of this machine do. Who shares a host's cores and caches with us makes a call take
    more CPU, by as much as a half, and never less; so the least is what the machine does by itself.
    """
    found: dict[Turn, list[Seen]] = {turn: [] for turn in turns}
    by_itself: list[Alone] = []
    with writers.started(max(turn.writers for turn in turns)) as pool:
        for number in range(ROUNDS):
            order = random.Random(number)
            mixed = order.sample(turns, len(turns))
            for processes in dict.fromkeys(turn.workers for turn in mixed):
                say(f"round {number + 1} of {ROUNDS}: {processes} worker processes")
                mine = [turn for turn in mixed if turn.workers == processes]
                with _working(processes, counter_ids) as worker:
                    _take(pool, mine, worker, found)
                if not processes:
                    # Right after a vacuum.
                    say(f"round {number + 1} of {ROUNDS}: folds, messages, REST calls")
                    by_itself.append(alone.measure(counter_ids))
    quietest = {turn: min(seen, key=attrgetter("cpu")) for turn, seen in found.items()}
    return quietest, alone.least(by_itself)


@contextmanager
def _working(processes: int, counter_ids: Sequence[int]) -> Iterator[int | None]:
    """Run a worker of so many processes; without one, fold at the end what was written."""
    if processes:
        with workers.working(processes, counter_ids=counter_ids) as worker:
            yield worker
        return
    yield None
    draining: Any = import_module("rollups.folding.drain")
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


def save(seen: Mapping[Turn, Seen], path: Path = MEASURED) -> None:
    rows = [{"turn": asdict(turn), "seen": asdict(one)} for turn, one in seen.items()]
    cores = multiprocessing.cpu_count()
    path.write_text(json.dumps({"cores": cores, "turns": rows}, indent=1) + "\n")


def load(path: Path = MEASURED) -> tuple[dict[Turn, Seen], int]:
    """Return what was seen of each turn, and on how many cores."""
    found = json.loads(path.read_text())
    seen = {Turn(**row["turn"]): Seen(**row["seen"]) for row in found["turns"]}
    return seen, found["cores"]
