"""Measures an axis in a process of its own: Django is set up once in each."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from importlib import import_module
from typing import Any

import psutil

from benchmarks import ground
from benchmarks.scaling.points import Plan

# Here the trigger is a part of what is measured. On the other axes nobody is to fold but
# the one who measures.
WITH_TRIGGER = {"workers", "writers", "spread"}


def measured(name: str, quick: bool, rounds: int) -> dict[str, Any]:
    """Return what was found along an axis, and what it is to be read with."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as alone:
        return alone.submit(_measure, name, quick, rounds).result()


def _measure(name: str, quick: bool, rounds: int) -> dict[str, Any]:
    module = import_module(f"benchmarks.scaling.axes.{name}")
    facts: Any = import_module("benchmarks.facts")
    plan = Plan(quick, rounds, lambda line: print(f"{name}: {line}", flush=True))
    trigger = "background" if name in WITH_TRIGGER else "off"
    with ground.prepared(ROLLUPS_TRIGGER=trigger):
        others = psutil.cpu_percent(interval=2)
        began = time.monotonic()
        points = module.measure(plan)
        return {
            "axis": asdict(module.AXIS),
            "points": [asdict(point) for point in points],
            "facts": facts.of_machine()
            | {
                "turns": f"{rounds} turns of each point",
                "others": f"other programs used {others:.0f} % of the cores just before",
            },
            "seconds": round(time.monotonic() - began),
            "command": f"python -m benchmarks.scaling --only {name}"
            + (" --quick" if quick else ""),
        }
