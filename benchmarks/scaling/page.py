"""What was found along an axis, as Markdown: points, exponents, what they were taken on."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.scaling import fit

HEADER = "<!-- Written by `python -m benchmarks.scaling --publish`. -->\n"


def write(found: dict[str, Any], directory: Path) -> None:
    """Write `scaling-<axis>.md` for each axis."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, result in found.items():
        path = directory / f"scaling-{name}.md"
        path.write_text(f"{HEADER}\n{table(result)}\n")


def table(result: dict[str, Any]) -> str:
    axis, points = result["axis"], result["points"]
    heads = [f"{one['label']}, {one['unit']}" for one in axis["series"]]
    lines = [_row([axis["grows"] or "", *heads]), _row(["--:"] * (len(heads) + 1))]
    for point in points:
        values = [_short(point["values"][one["key"]]) for one in axis["series"]]
        at = point["at"]
        lines.append(_row([f"{at:,}" if isinstance(at, int) else at, *values]))
    if axis["grows"] and len(points) > 1:
        lines += _exponents(axis, points)
    facts = result["facts"]
    lines += [
        "",
        f"`{result['command']}` ({result['seconds']} s). Medians; {facts['turns']}.",
    ]
    lines += [
        f"{facts['machine']}; PostgreSQL {facts['PostgreSQL']}; {facts['durability']};"
    ]
    lines += [f"Python {facts['Python']}; commit {facts['commit']}, {facts['at']};"]
    lines += [f"{facts['others']}."]
    return "\n".join(lines)


def _exponents(axis: dict[str, Any], points: list[dict[str, Any]]) -> list[str]:
    """Return a second table: the exponent over all, and between each size and the next."""
    sizes = [point["at"] for point in points]
    steps = [f"{a:,} to {b:,}" for a, b in pairwise(sizes)]
    lines = ["", _row(["exponent", "overall", *steps])]
    lines.append(_row([":--", *["--:"] * (len(steps) + 1)]))
    for one in axis["series"]:
        if not one["is_fitted"]:
            continue
        values = [point["values"][one["key"]] for point in points]
        exponents = [fit.exponent(sizes, values)]
        exponents += [step.exponent for step in fit.steps(sizes, values)]
        label = f"{one['label']}, {one['unit']}"
        lines.append(_row([label, *(f"{value:.2f}" for value in exponents)]))
    return lines


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _short(value: float) -> str:
    """Write a number with three digits that count."""
    if abs(value) >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"
