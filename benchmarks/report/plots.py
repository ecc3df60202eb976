"""What was found, as SVG pictures in docs/images/performance/."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt

IMAGES = Path("docs/images/performance")
# One colour a part, told apart without red and green.
PARTS = {
    "client": "#0072b2",
    "web": "#56b4e9",
    "worker": "#009e73",
    "PostgreSQL": "#e69f00",
    "Valkey": "#cc79a7",
}
OURS, THEIRS = "#0072b2", "#b0b7bf"
PEER_SUITES = {"hot", "in_request", "many", "batches", "rest", "rest_half"}

# The same file for the same figures: no date in it, no random ids.
mpl.rcParams |= {
    "svg.hashsalt": "counters",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "figure.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw_all(found: Mapping[str, Any]) -> None:
    """Draw what there is a figure for."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, suite in found.items():
        if name in PEER_SUITES:
            _draw_rates(name, suite)
            _draw_costs(name, suite)
            _draw_percentiles(name, suite)
    if "staleness" in found:
        _draw_staleness(found["staleness"])
    if "memory" in found:
        _draw_memory(found["memory"])


def _draw_rates(name: str, suite: Mapping[str, Any]) -> None:
    peers = list(suite["drawn"].values())
    figure, axes = plt.subplots(figsize=(9, 0.8 + 0.45 * len(peers)))
    middles = [one["events_per_second"]["median"] for one in peers]
    reach = [
        [
            m - one["events_per_second"]["least"]
            for m, one in zip(middles, peers, strict=True)
        ],
        [
            one["events_per_second"]["most"] - m
            for m, one in zip(middles, peers, strict=True)
        ],
    ]
    colours = [OURS if "this project" in one["title"] else THEIRS for one in peers]
    titles = [one["title"] for one in peers]
    axes.barh(titles, middles, xerr=reach, color=colours, ecolor="#444444", capsize=3)
    axes.invert_yaxis()
    axes.set_xlabel("events/s: median of the turns, least and most")
    axes.set_title(suite["title"], loc="left")
    _save(figure, f"{name}-rate")


def _draw_costs(name: str, suite: Mapping[str, Any]) -> None:
    peers = list(suite["drawn"].values())
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.45 * len(peers)))
    left = [0.0] * len(peers)
    titles = [one["title"] for one in peers]
    for part, colour in PARTS.items():
        widths = [one["cpu_us"].get(part, 0.0) for one in peers]
        if any(widths):
            axes.barh(titles, widths, left=left, color=colour, label=part)
            left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("CPU time, µs/event")
    axes.legend(
        ncols=len(PARTS), loc="lower right", bbox_to_anchor=(1, 1), frameon=False
    )
    _save(figure, f"{name}-cpu")


def _draw_percentiles(name: str, suite: Mapping[str, Any]) -> None:
    figure, axes = plt.subplots(figsize=(9, 4))
    for one in suite["drawn"].values():
        shares = [1 / (1 - float(share) / 100) for share in one["percentiles_ms"]]
        ours = "this project" in one["title"]
        axes.plot(
            shares,
            one["percentiles_ms"].values(),
            label=one["title"],
            linewidth=2.4 if ours else 1.2,
            marker="o",
            markersize=3,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(
        [2, 10, 100, 1_000, 10_000], ["50 %", "90 %", "99 %", "99.9 %", "99.99 %"]
    )
    axes.set_ylabel("a step, ms")
    axes.set_title("How long a step takes", loc="left")
    axes.legend(fontsize="x-small", frameon=False)
    _save(figure, f"{name}-latency")


def _draw_staleness(suite: Mapping[str, Any]) -> None:
    figure, axes = plt.subplots(figsize=(9, 3.5))
    for name, percentiles in suite["drawn"].items():
        axes.plot(percentiles, range(100), label=f"at {name}")
    axes.set_xlabel("ms from commit to visible")
    axes.set_ylabel("% of adds")
    axes.set_xlim(left=0)
    axes.set_title(suite["title"], loc="left")
    axes.legend(frameon=False)
    _save(figure, "staleness")


def _draw_memory(suite: Mapping[str, Any]) -> None:
    figure, axes = plt.subplots(figsize=(9, 3.5))
    for name, sizes in suite["drawn"].items():
        axes.plot([i * 5 / 60 for i in range(len(sizes))], sizes, label=name)
    axes.set_xlabel("minutes")
    axes.set_ylabel("own memory, MB")
    axes.set_ylim(bottom=0)
    axes.set_title(suite["title"], loc="left")
    axes.legend(fontsize="x-small", ncols=3, frameon=False)
    _save(figure, "memory")


def _save(figure: Any, name: str) -> None:
    path = IMAGES / f"{name}.svg"
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
