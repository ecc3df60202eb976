"""Explore a scenario (operations by name), and report how to run an order again."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from counters.models import Namespace
from counters.namespaces import lookup
from tests.interleavings import operations
from tests.interleavings.checks import check
from tests.interleavings.explorer import (
    Explorer,
    Operation,
    Order,
    explore,
    steps_are_gated,
)


@dataclass(slots=True)
class Explored:
    """What exploring a scenario has found."""

    orders: int = 0
    seconds: float = 0
    # Orders that did not follow their choices, however often they were run again.
    diverged: int = 0
    # A report of each bad order.
    faults: list[str] = field(default_factory=list)


@contextmanager
def exploring() -> Iterator[None]:
    """Prepare the database, whose namespace is `test`, and each new connection."""
    Namespace.objects.update(
        accept_past=operations.ACCEPT_PAST, retention=operations.RETENTION
    )
    lookup.forget_all()
    # A partition that is left for later is one of the orders.
    logging.getLogger("counters.partitions.create").setLevel(logging.ERROR)
    try:
        with operations.few_partitions(), steps_are_gated():
            yield
    finally:
        logging.getLogger("counters.partitions.create").setLevel(logging.NOTSET)


def explore_scenario(
    scenario: str,
    *,
    preemptions: int | None = None,
    most_orders: int | None = None,
    most_faults: int = 1,
    replaced: Mapping[str, str] | None = None,
) -> Explored:
    """Run the orders of the operations that `scenario` names, until one is bad.

    After `kept`, each operation has run before on its connection, which keeps its plans.
    After `repeatable`, REPEATABLE READ is the default of each connection.
    `replaced` removes a guarantee: it maps texts of statements to other texts.
    """
    done = Explored()
    began = time.monotonic()
    with _runner(scenario, replaced) as run:
        reports: list[list[str]] = []

        def run_and_check(chosen: Sequence[int]) -> Order:
            order, found = run(chosen)
            reports[:] = [found]
            return order

        for order in explore(run_and_check, preemptions=preemptions):
            done.orders += 1
            done.diverged += order.diverged
            if reports[0]:
                done.faults.append(_report(scenario, order, reports[0]))
            if len(done.faults) >= most_faults or done.orders == most_orders:
                break
    done.seconds = time.monotonic() - began
    return done


def replay(order: str) -> str | None:
    """Run one order, such as `fold make: 0 0 1 1`; return a report if it is bad."""
    scenario, _, chosen = order.partition(":")
    with _runner(scenario, None) as run:
        played, found = run([int(one) for one in chosen.split()])
    return _report(scenario, played, found) if found else None


class _Run:
    """Runs one order from a fresh state and checks it."""

    def __init__(self, explorer: Explorer, names: list[str]) -> None:
        self._explorer = explorer
        self._kinds = [operations.KINDS[name] for name in names]
        self.needs = frozenset().union(*(kind.needs for kind in self._kinds))

    def __call__(self, chosen: Sequence[int]) -> tuple[Order, list[str]]:
        world = operations.set_up(self.needs)
        if self._explorer.keeps_plans:
            self._make_plans(world)
            world = operations.set_up(self.needs)
        order = self._explorer.run_order(
            [
                Operation(
                    kind.work.__name__, i, partial(kind.work, world), kind.is_patient
                )
                for i, kind in enumerate(self._kinds)
            ],
            chosen,
        )
        return order, check(world, order)

    def _make_plans(self, world: operations.World) -> None:
        for index, kind in enumerate(self._kinds):
            # A change of the partitions would invalidate the plans of the others.
            if kind.is_patient:
                me = Operation(kind.work.__name__, index, lambda _: None)
                self._explorer.make_plans(index, partial(kind.work, world, me))


@contextmanager
def _runner(scenario: str, replaced: Mapping[str, str] | None) -> Iterator[_Run]:
    names = scenario.split()
    mode = names.pop(0) if names[0] in {"kept", "repeatable"} else ""
    explorer = Explorer(
        keeps_plans=mode == "kept",
        isolation="repeatable read" if mode == "repeatable" else "read committed",
        replaced=replaced,
    )
    run = _Run(explorer, names)
    try:
        with operations.suited_settings(run.needs):
            yield run
    finally:
        explorer.close()
    assert not explorer.unused, f"No statement has this text: {explorer.unused}"


def _report(scenario: str, order: Order, found: list[str]) -> str:
    steps = "\n".join(f"  {line}" for line in order.lines)
    chosen = " ".join(str(index) for index in order.chosen)
    return (
        f"{scenario}:\n{steps}\n"
        + "\n".join(found)
        + "\nRun it again:\n  INTERLEAVING="
        f'"{scenario}: {chosen}" .venv/bin/python -m pytest tests/interleavings -k replay'
    )
