"""Draw small charts as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH, HEIGHT = 600, 160
_LEFT, _BOTTOM, _TOP, _RIGHT = 56, 20, 8, 4
# None: the value of that step is unknown.
Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart."""

    name: str
    values: Values


def sparkline(values: Sequence[float], *, label: str) -> SafeString:
    """Draw bars above and below a base line, for a table's cell."""
    width, height = 4 * len(values), 24
    high, low = max([0.0, *values]), min([0.0, *values])
    reach = (high - low) or 1.0
    base = height * high / reach if high or low else height - 1
    # One path for all bars: a list has fifty of these pictures.
    drawn = "".join(
        f"M{4 * i} {min(base, base - height * value / reach):.1f}"
        f"h3v{max(1.0, abs(height * value / reach)):.1f}h-3z"
        for i, value in enumerate(values)
        if value
    )
    return format_html(
        '<svg class="sparkline" role="img" aria-label="{}" width="{}" height="{}"'
        ' viewBox="0 0 {} {}"><path class="axis" d="M0 {}H{}"/><path d="{}"/></svg>',
        label,
        width,
        height,
        width,
        height,
        f"{base:.1f}",
        width,
        drawn,
    )


def bars(values: Sequence[float], *, label: str, first: str, last: str) -> SafeString:
    """Draw a series of sums, one bar a bucket, with its scale and its ends."""
    high, low = max([0.0, *values]), min([0.0, *values])
    top, bottom = _rounded(high), 0.0 - _rounded(-low)
    scale = _Scale(bottom, top if top > bottom else 1.0, max(1, len(values)))
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(values))
    drawn = format_html_join(
        "",
        '<rect x="{}" y="{}" width="{}" height="{}"/>',
        (
            (
                f"{_LEFT + i * step:.1f}",
                f"{min(scale.y(0), scale.y(value)):.1f}",
                f"{max(0.5, step * 0.8):.1f}",
                f"{max(0.5, abs(scale.y(value) - scale.y(0))):.1f}",
            )
            for i, value in enumerate(values)
            if value
        ),
    )
    return _framed(
        format_html('<g class="bars">{}</g>', drawn), scale, label, first, last
    )


def lines(drawn: Sequence[Line], *, label: str, first: str, last: str) -> SafeString:
    """Draw lines over a span of time, with a gap where values are unknown."""
    known = [value for line in drawn for value in line.values if value is not None]
    steps = max([len(line.values) for line in drawn], default=0)
    scale = _Scale(0.0, _rounded(max([0.0, *known])) or 1.0, steps)
    paths = format_html_join(
        "",
        '<path class="line line-{}" d="{}"/>',
        ((number, _path(line.values, scale)) for number, line in enumerate(drawn, 1)),
    )
    return _framed(paths, scale, label, first, last)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Map values and steps to coordinates."""

    bottom: float
    top: float
    steps: int

    def x(self, step: int) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * step / max(1, self.steps - 1)

    def y(self, value: float) -> float:
        share = (value - self.bottom) / (self.top - self.bottom)
        return HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * share


def _path(values: Values, scale: _Scale) -> str:
    parts: list[str] = []
    is_drawing = False
    for step, value in enumerate(values):
        if value is not None:
            place = f"{scale.x(step):.1f} {scale.y(value):.1f}"
            # A single point is drawn too: a line of no length, with a round cap.
            parts.append(f"L{place}" if is_drawing else f"M{place}h0")
        is_drawing = value is not None
    return "".join(parts)


def _framed(
    inside: SafeString, scale: _Scale, label: str, first: str, last: str
) -> SafeString:
    marks = sorted({scale.bottom, 0.0, scale.top, (scale.top + scale.bottom) / 2})
    rules = format_html_join(
        "",
        '<path class="axis" d="M{} {}H{}"/><text x="{}" y="{}" class="y">{}</text>',
        (
            (
                _LEFT,
                f"{scale.y(mark):.1f}",
                WIDTH - _RIGHT,
                _LEFT - 6,
                f"{scale.y(mark) + 4:.1f}",
                short(mark),
            )
            for mark in marks
        ),
    )
    return format_html(
        '<svg class="plot" role="img" aria-label="{}" viewBox="0 0 {} {}">{}{}'
        '<text x="{}" y="{}">{}</text><text x="{}" y="{}" class="end">{}</text></svg>',
        label,
        WIDTH,
        HEIGHT,
        rules,
        inside,
        _LEFT,
        HEIGHT - 4,
        first,
        WIDTH - _RIGHT,
        HEIGHT - 4,
        last,
    )


def _rounded(value: float) -> float:
    """Return a round number that is not below the value, 0 for what is not above 0."""
    if value <= 0:
        return 0.0
    size: float = 10.0 ** floor(log10(value))
    return next(size * step for step in (1, 2, 5, 10) if size * step >= value)


def short(value: float) -> str:
    """Return a number in a short form for an axis: `1.5 M`, `20 k`, `0.05`."""
    for size, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"
