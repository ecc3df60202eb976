"""Staleness: the time from an add's commit to an eventual read that shows it.

A reader looks at the rollups every two milliseconds, so a figure may be two milliseconds
too high. The n-th event that a counter shows is taken for its n-th add that returned.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from benchmarks import clients, programs
from benchmarks.clients import Done, Load, Orders
from benchmarks.data import fold_all
from benchmarks.peers.registry import WAYS
from benchmarks.results import Result, Table, figure, percentile
from benchmarks.servers import connect, execute
from benchmarks.turns import Options

TITLE = "From commit to visible in an eventual read"
LOAD = Load(100, "uniform")
LOOK_EVERY_SECONDS = 0.002
# After the last add, until all are folded.
LOOK_ON_SECONDS = 1.0
A_FEW = 20.0
SHOWN = "SELECT counter_id, events FROM rollups_rollup"
IDS = "SELECT id, substr(name, 2)::int FROM counters_counter"

# By counter: the events that were shown, and since when.
Looks = dict[int, list[tuple[int, float]]]


def staleness(options: Options) -> Result:
    """Measure it at several rates, the highest half of what the writers can do."""
    headings = ["adds/s", "share of capacity", "seen", "p50 ms", "p99 ms", "worst ms"]
    made = Result(TITLE, Table(headings))
    WAYS["add"].setup(LOAD.counters)
    with programs.running(["worker"]):
        turn = clients.run(_orders(options, rate=None), meanwhile=nullcontext())
        capacity = turn.steps_per_second
        slower = {"a few adds/s": A_FEW, "25%": capacity / 4}
        rates = options.pick(full=slower, quick={}) | {"50%": capacity / 2}
        for name, rate in rates.items():
            options.say(f"{name} of {capacity:,.0f} adds/s")
            turns = [_turn(_orders(options, rate=rate)) for _ in range(options.rounds)]
            p50, p99 = (
                [percentile(one, share) * 1e3 for one in turns] for share in (50, 99)
            )
            made.figures[f"p50 ms, {name}"] = figure(p50)
            made.figures[f"p99 ms, {name}"] = figure(p99)
            made.table.rows.append(
                [
                    f"{rate:,.0f}",
                    f"{rate / capacity:.0%}",
                    f"{sum(len(one) for one in turns):,}",
                    str(figure(p50)),
                    str(figure(p99)),
                    f"{max(one[-1] for one in turns) * 1e3:.0f}",
                ]
            )
    return made


def _orders(options: Options, *, rate: float | None) -> Orders:
    return Orders(
        peer="add",
        load=LOAD,
        clients=options.clients,
        processes=options.processes,
        seconds=options.seconds,
        steps_per_second=rate,
    )


def _turn(orders: Orders) -> list[float]:
    """Return the seconds from each add to the look that showed it, in order."""
    looks: Looks = defaultdict(list)
    turn = clients.run(orders, meanwhile=_looking(looks))
    times, keys = returned(turn.clients), dict(execute(IDS))
    found = []
    for counter_id, shown in looks.items():
        found += stale(shown, times[keys[counter_id]])
    return sorted(found)


def stale(looks: Sequence[tuple[int, float]], times: Sequence[float]) -> list[float]:
    """Return the seconds from each add to the look that showed it."""
    (base, _), *later = looks
    found: list[float] = []
    for events, now in later:
        seen = times[len(found) : events - base]
        found += [max(0.0, now - one) for one in seen]
    return found


def returned(done: Sequence[Done]) -> dict[int, list[float]]:
    """Return the times at which the adds of each key returned, in order."""
    times: dict[int, list[float]] = defaultdict(list)
    for key, ended in sorted(pair for one in done for pair in one.ended):
        times[key].append(ended)
    return times


@contextmanager
def _looking(looks: Looks) -> Iterator[None]:
    """Look at the rollups from before the first add until after the last."""
    # The writers wait for the turn to begin: what is pending is their warm-up.
    fold_all()
    ends, began = threading.Event(), threading.Event()
    reader = threading.Thread(target=_look, args=(looks, began, ends))
    reader.start()
    began.wait()
    yield
    time.sleep(LOOK_ON_SECONDS)
    ends.set()
    reader.join()


def _look(looks: Looks, began: threading.Event, ends: threading.Event) -> None:
    with connect() as own:
        while not ends.wait(LOOK_EVERY_SECONDS):
            shown = own.execute(SHOWN).fetchall()
            now = time.perf_counter()
            for counter_id, events in shown:
                seen = looks[counter_id]
                if not seen or events > seen[-1][0]:
                    seen.append((events, now))
            began.set()
