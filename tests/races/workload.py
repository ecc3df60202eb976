"""Writers and folders at once, with the truth kept beside them."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import wait

from django.db import transaction

from counters import recording
from counters.models import LastWrite
from rollups.folding import Folded, fold
from rollups.models import Rollup
from tests.conftest import Threads

WRITERS = 8
FOLDERS = 3
COUNTERS = 30
TRANSACTIONS = 60
FOLDS_WHILE_OPEN = 6
TIMEOUT_SECONDS = 60


class Undo(Exception):
    """Rolls a transaction or a savepoint back."""


class Folds:
    """Counts finished folds, so that a writer can stay open for several of them."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def finished_one(self) -> None:
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait_for_more(self, number: int) -> None:
        with self._changed:
            goal = self._count + number
            self._changed.wait_for(lambda: self._count >= goal, TIMEOUT_SECONDS)


def run(threads: Threads, *, seed: int) -> tuple[dict[str, int], dict[str, int]]:
    """Run the workload; return the truth and what the rollups say, by counter name."""
    names = [f"counter {i}" for i in range(COUNTERS)]
    recording.add_many([recording.NewEvent("test", name, 0) for name in names])
    folds, done = Folds(), threading.Event()
    start = threading.Barrier(WRITERS + FOLDERS, timeout=TIMEOUT_SECONDS)

    def write(number: int) -> Counter[str]:
        start.wait()
        return _write(random.Random(f"{seed} {number}"), names, folds)

    def keep_folding() -> None:
        start.wait()
        while not done.is_set():
            fold(_pending())
            folds.finished_one()

    folders = [threads.submit(keep_folding) for _ in range(FOLDERS)]
    writers = [threads.submit(write, number) for number in range(WRITERS)]
    try:
        wait(writers, TIMEOUT_SECONDS)
    finally:
        done.set()
    truth: Counter[str] = Counter(dict.fromkeys(names, 0))
    for writer in writers:
        truth.update(writer.result(0))
    for folder in folders:
        folder.result(TIMEOUT_SECONDS)
    _fold_the_rest(fold)
    totals = Rollup.objects.values_list("counter__name", "total")
    return dict(truth), {name: int(total) for name, total in totals}


def _write(chance: random.Random, names: list[str], folds: Folds) -> Counter[str]:
    """Add in transactions of every kind; return what was committed."""
    committed: Counter[str] = Counter()
    for _ in range(TRANSACTIONS):
        if chance.random() < 0.5:
            committed.update(_add(chance, names))
            continue
        try:
            with transaction.atomic():
                added = _add(chance, names)
                if chance.random() < 0.4:
                    _add_in_a_savepoint_that_rolls_back(chance, names)
                if chance.random() < 0.4:
                    folds.wait_for_more(FOLDS_WHILE_OPEN)
                added.update(_add(chance, names))
                if chance.random() < 0.25:
                    raise Undo
        except Undo:
            continue
        committed.update(added)
    return committed


def _add(chance: random.Random, names: list[str]) -> Counter[str]:
    name, delta = chance.choice(names), chance.randint(-1000, 1000)
    recording.add(namespace="test", name=name, delta=delta)
    # Not Counter(...): its update() adds, as it should, but zero must stay a key.
    added: Counter[str] = Counter()
    added[name] = delta
    return added


def _add_in_a_savepoint_that_rolls_back(
    chance: random.Random, names: list[str]
) -> None:
    try:
        with transaction.atomic():
            _add(chance, names)
            raise Undo
    except Undo:
        return


def _pending() -> list[int]:
    return list(LastWrite.objects.values_list("counter_id", flat=True).distinct())


def _fold_the_rest(fold: Callable[[Collection[int]], Folded]) -> None:
    # Bounded, because a broken fold may leave a counter pending for ever.
    for _ in range(20):
        if not (pending := _pending()):
            return
        fold(pending)
