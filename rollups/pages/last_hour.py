"""Charts of the last hour, each with a table of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from django.utils.safestring import SafeString

from rollups.monitor import samples as sampling
from rollups.monitor.samples import Reading
from rollups.monitor.svg_charts import Line, Values, lines, short

MINUTE = timedelta(minutes=1)
MINUTES = 60


@dataclass(frozen=True, slots=True)
class Plot:
    """A chart, its legend, and its numbers as a table, newest first."""

    title: str
    names: list[str]
    picture: SafeString
    rows: list[tuple[datetime, list[str]]]


def draw(now: datetime) -> list[Plot]:
    """Draw lag, pending counters, adds and folds by the minute, with one query."""
    until = now.astimezone(UTC).replace(second=0, microsecond=0) + MINUTE
    # One more, so that the first minute shown has a rate.
    samples = sampling.read(lasting=(MINUTES + 2) * MINUTE, step=MINUTE)
    steps = [until - (MINUTES - i) * MINUTE for i in range(MINUTES)]
    adds, folds = each(samples, "inserted"), each(samples, "events_folded")
    return [
        _plot(
            "Lag, seconds",
            steps,
            samples,
            {
                "p50": [one.lag_p50_seconds for one in samples],
                "p99": [one.lag_p99_seconds for one in samples],
                "max": [one.lag_max_seconds for one in samples],
            },
        ),
        _plot(
            "Pending counters",
            steps,
            samples,
            {"pending": [one.pending for one in samples]},
        ),
        _plot(
            "Events a second",
            steps,
            samples,
            {"added": adds, "folded": folds},
        ),
    ]


def _plot(
    title: str,
    steps: list[datetime],
    samples: Sequence[Reading],
    values: dict[str, Values],
) -> Plot:
    names = list(values)
    drawn = [Line(name, _by_minute(steps, samples, values[name])) for name in names]
    rows = [
        (at, [_shown(line.values[i]) for line in drawn])
        for i, at in enumerate(steps)
        if any(line.values[i] is not None for line in drawn)
    ]
    return Plot(
        title,
        names,
        lines(
            drawn,
            label=f"{title}, in the last hour: the table below has the same numbers.",
            first=f"{steps[0]:%H:%M}",
            last=f"{steps[-1]:%H:%M} UTC",
        ),
        rows[::-1],
    )


def _by_minute(
    steps: list[datetime], samples: Sequence[Reading], values: Values
) -> list[float | None]:
    there = {
        one.sampled_at.astimezone(UTC).replace(second=0, microsecond=0): value
        for one, value in zip(samples, values, strict=True)
    }
    return [there.get(at) for at in steps]


def _shown(value: float | None) -> str:
    return "unknown" if value is None else short(value)


def over(samples: Sequence[Reading], name: str) -> float | None:
    """Return how much a number grew a second from the first sample to the last.

    None without two samples, or if the number fell.
    """
    return between(samples[0], samples[-1], name) if len(samples) > 1 else None


def each(samples: Sequence[Reading], name: str) -> list[float | None]:
    """Return the rate at each sample, since the one before; None at the first."""
    grown = [between(one, two, name) for one, two in pairwise(samples)]
    return [None, *grown] if samples else []


def between(before: Reading, after: Reading, name: str) -> float | None:
    seconds = (after.sampled_at - before.sampled_at).total_seconds()
    grown = _number(after, name) - _number(before, name)
    return grown / seconds if seconds > 0 and grown >= 0 else None


def _number(sample: Reading, name: str) -> int:
    return sample.inserted if name == "inserted" else sample.numbers.get(name, 0)
