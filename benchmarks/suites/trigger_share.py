"""What the trigger costs an add: CPU time and median, with it and without, in turns."""

from __future__ import annotations

from collections import defaultdict

from django.conf import settings

from benchmarks.ground import Measured, adds
from benchmarks.options import Options
from benchmarks.results import Result, Table, ratios
from counters import signals
from rollups import receivers

TITLE = "The trigger's share of an add, one hot counter"
WAYS = ("none", "background", "inline")
THREADS = (1, 8)


def measure(options: Options) -> Result:
    made = Result(
        TITLE,
        Table(["threads", "trigger", "adds/s", "CPU µs", "÷ none", "p50 µs", "÷ none"]),
    )
    for threads in THREADS:
        options.say(f"{threads} threads")
        found = _turns(threads, options)
        none = found["none"]
        for way in WAYS:
            turns = found[way]
            cpu = ratios([one.cpu for one in turns], [one.cpu for one in none])
            p50 = ratios([one.at(0.5) for one in turns], [one.at(0.5) for one in none])
            made.figures[f"CPU, {way} ÷ none, {threads} threads"] = cpu
            made.figures[f"p50, {way} ÷ none, {threads} threads"] = p50
            middle = turns[len(turns) // 2]
            made.table.rows.append(
                [
                    str(threads),
                    way,
                    f"{len(middle.seconds) / options.seconds:,.0f}",
                    f"{middle.cpu:.0f}",
                    str(cpu),
                    f"{middle.at(0.5):.0f}",
                    str(p50),
                ]
            )
    return made


def _turns(threads: int, options: Options) -> dict[str, list[Measured]]:
    seconds = options.seconds
    found: dict[str, list[Measured]] = defaultdict(list)
    adds(Measured(), threads=threads, seconds=seconds, counters=1)  # warm up
    for number in range(options.rounds * 2):
        # Each goes first as often as the others: drift is nobody's.
        for way in WAYS[number % 3 :] + WAYS[: number % 3]:
            one = Measured()
            if way == "none":
                signals.events_committed.disconnect(receivers.fire_trigger)
            else:
                settings.ROLLUPS_TRIGGER = way
            adds(one, threads=threads, seconds=seconds, counters=1)
            signals.events_committed.connect(receivers.fire_trigger)
            found[way].append(one)
    return found
