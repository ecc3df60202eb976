"""Draws the model: beside what was measured, and beyond it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.model.extrapolating import SATURATION_CORES, Simulated
from benchmarks.model.validating import Compared
from benchmarks.scaling.plotting import COLOURS, new_figure, save


def validation(compared: Sequence[Compared], path: Path) -> None:
    """Draw single adds over writers: dots are measured, the line is simulated."""
    one_worker = [
        one for one in compared if one.turn.batch == 1 and one.turn.workers == 1
    ]
    writers = [one.turn.writers for one in one_worker]
    figure, (left, right) = new_figure(2)
    for place, simulated, measured in (
        (
            left,
            [one.predicted.calls_per_second for one in one_worker],
            [one.seen.calls_per_second for one in one_worker],
        ),
        (
            right,
            [one.predicted.mean_ms for one in one_worker],
            [one.seen.mean_ms for one in one_worker],
        ),
    ):
        place.plot(writers, simulated, color=COLOURS[0], label="simulated")
        place.plot(writers, measured, "o", color=COLOURS[1], label="measured")
    left.set_ylabel("adds/s")
    left.set_ylim(bottom=0)
    right.set_ylabel("mean response, ms")
    right.set_yscale("log")
    for place in (left, right):
        place.set_xscale("log", base=2)
        place.set_xticks(writers, [str(n) for n in writers])
        place.set_xlabel("writers, 1 worker")
        place.legend(fontsize=8, frameon=False)
    save(figure, path)


def saturation(found: Sequence[Simulated], path: Path) -> None:
    """Draw the response time of one primary from idle to nearly full; all simulated."""
    figure, (left, right) = new_figure(2)
    calls = [one.predicted.calls_per_second for one in found]
    for label, values, colour in (
        ("p50", [one.predicted.p50_ms for one in found], COLOURS[0]),
        ("p99", [one.predicted.p99_ms for one in found], COLOURS[1]),
    ):
        left.plot(calls, values, "-o", color=colour, label=label, markersize=4)
    left.set_ylabel("ms, simulated")
    left.set_ylim(bottom=0)
    left.legend(fontsize=8, frameon=False)
    right.plot(
        calls,
        [one.predicted.calls_per_flush for one in found],
        "-o",
        color=COLOURS[2],
        markersize=4,
    )
    right.set_ylabel("commits to a flush, simulated")
    right.set_ylim(bottom=0)
    for place in (left, right):
        place.set_xlabel(f"single adds/s, one primary of {SATURATION_CORES} cores")
    save(figure, path)
