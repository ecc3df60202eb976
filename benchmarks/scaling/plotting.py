"""Draws what was found: SVG on white, so that it is legible on a dark page too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

# Distinct for those who do not see red from green (Okabe and Ito).
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
MARKS = ["o", "s", "^", "D", "v", "P"]
STYLE: Any = {
    "figure.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e6ea",
    "font.size": 10,
    # Text as text, and the same names for the same picture: a small file, a small diff.
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "svg.hashsalt": "fold-counters",
}


def draw(found: dict[str, Any], directory: Path) -> None:
    """Draw `scaling-<axis>.svg` for each axis."""
    for name, result in found.items():
        axis, points = result["axis"], result["points"]
        figure, places = new_figure(len(axis["plots"]))
        for place, keys in zip(places, axis["plots"], strict=True):
            series = [one for one in axis["series"] if one["key"] in keys]
            if axis["grows"]:
                _lines(place, axis, points, series)
            else:
                _bars(place, points, series)
        save(figure, directory / f"scaling-{name}.svg")


def new_figure(columns: int) -> tuple[Figure, list[Axes]]:
    """Return an empty figure in our style, and its places side by side."""
    mpl.rcParams.update(STYLE)
    figure = Figure(figsize=(4.6 * max(columns, 1.4), 3.4), layout="constrained")
    places = figure.subplots(1, columns, squeeze=False)
    return figure, list(places[0])


def save(figure: Figure, path: Path) -> None:
    """Write it without a date, so that a picture that is the same is the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    # Matplotlib leaves spaces at the ends of lines.
    lines = [line.rstrip() for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")


def _lines(
    place: Axes,
    axis: dict[str, Any],
    points: list[dict[str, Any]],
    series: list[dict[str, Any]],
) -> None:
    sizes = [point["at"] for point in points]
    for i, one in enumerate(series):
        values = [point["values"][one["key"]] for point in points]
        spread = [point["spread"][one["key"]] for point in points]
        place.fill_between(
            sizes,
            [least for least, _ in spread],
            [most for _, most in spread],
            color=COLOURS[i],
            alpha=0.15,
            linewidth=0,
        )
        place.plot(
            sizes,
            values,
            label=one["label"],
            color=COLOURS[i],
            marker=MARKS[i],
            markersize=4,
        )
    place.set(
        xscale="log", yscale="log", xlabel=axis["grows"], ylabel=series[0]["unit"]
    )
    place.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    place.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.6g}"))
    place.yaxis.set_minor_formatter(NullFormatter())
    if max(sizes) < 100:
        place.set_xscale("log", base=2)
        place.set_xticks(sizes, [str(size) for size in sizes])
    place.legend(fontsize=8, frameon=False)


def _bars(
    place: Axes, points: list[dict[str, Any]], series: list[dict[str, Any]]
) -> None:
    width = 0.8 / len(series)
    for i, one in enumerate(series):
        values = [point["values"][one["key"]] for point in points]
        at = [number + i * width for number in range(len(points))]
        place.bar(at, values, width * 0.9, label=one["label"], color=COLOURS[i])
    middle = [number + width * (len(series) - 1) / 2 for number in range(len(points))]
    place.set_xticks(middle, [str(point["at"]) for point in points])
    place.set_ylabel(series[0]["unit"])
    place.legend(fontsize=8, frameon=False)
