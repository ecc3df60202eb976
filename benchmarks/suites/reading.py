"""Reads: eventual, accurate by pending events, and look-ups by primary key.

One connection reads in turns a counter with few and one with many kept events.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial

from django.db import connection

from benchmarks.data import add_pending, create_counters
from benchmarks.peers.database import bare_cursor
from benchmarks.plain.models import PlainCounter, create_table
from benchmarks.results import Result, Table, figure, ratios
from benchmarks.servers import execute
from benchmarks.turns import Options
from counters import events
from rollups import counts
from rollups.folding import fold

READS = 1_000
# Short blocks in turn: a core's speed changes within a second.
BLOCK = 50
BY_KEY = "SELECT total FROM plain_plaincounter WHERE id = %s"
PENDING = (1, 1_000, 10_000)
FEW = 1_000
TOGETHER = 1_000
OURS, ACCURATE = "eventual (this project)", "accurate (this project)"
MULTI = f"{TOGETHER:,} counters at once (this project)"


def reading(options: Options) -> Result:
    """Measure the median time of each kind of read."""
    counters = options.pick(full=100_000, quick=10_000)
    create_counters(counters)
    create_table(counters)
    many = options.pick(full=10_000_000, quick=100_000)
    ids = {kept: _counter(kept, options) for kept in (FEW, many)}
    made = Result(
        "Reads of one counter among many",
        Table(["read", "kept events", "pending", "median µs"]),
    )
    ways: Ways = {(OURS, kept): partial(_read, kept, "eventual") for kept in ids}
    ways |= {(name, FEW): way for name, way in RAW.items()}
    found = _in_turns(ways, options.rounds, READS)
    ours = found[OURS, FEW]
    both = {(MULTI, FEW): _read_many, (OURS, FEW): ways[OURS, FEW]}
    together = _in_turns(both, options.rounds, BLOCK)
    _add_rows(made, found | {(MULTI, FEW): together[MULTI, FEW]}, pending=0)
    for name in RAW:
        made.figures[f"eventual ÷ {name}"] = ratios(ours, found[name, FEW])
    made.figures[f"eventual, {many:,} kept ÷ few"] = ratios(found[OURS, many], ours)
    made.figures[f"{TOGETHER:,} at once ÷ {TOGETHER:,} single reads"] = ratios(
        together[MULTI, FEW], [TOGETHER * one for one in together[OURS, FEW]]
    )
    for pending in PENDING:
        options.say(f"{pending:,} pending events")
        add_pending(list(ids.values()), pending)
        execute("VACUUM ANALYZE counters_event")
        ways = {(ACCURATE, kept): partial(_read, kept, "accurate") for kept in ids}
        found = _in_turns(ways, options.rounds, READS // 10)
        _add_rows(made, found, pending=pending)
        made.figures[f"accurate, {many:,} kept ÷ few, {pending:,} pending"] = ratios(
            found[ACCURATE, many], found[ACCURATE, FEW]
        )
        fold.fold(ids.values())
    return made


def _counter(kept: int, options: Options) -> int:
    """Create a counter with folded events; return its id."""
    options.say(f"{kept:,} kept events")
    counter_id = events.add(namespace="bench", name=f"read {kept}").counter_id
    if counter_id is None:
        raise RuntimeError("the namespace is not of this kind")
    # With a last write that waited while millions were appended, a fold would work in
    # parts.
    fold.fold([counter_id])
    add_pending([counter_id], kept)
    fold.fold([counter_id])
    return counter_id


Ways = dict[tuple[str, int], Callable[[], object]]
Turns = dict[tuple[str, int], list[float]]


def _in_turns(ways: Ways, rounds: int, reads: int) -> Turns:
    """Return the median microseconds of a read, a number a round."""
    found: Turns = defaultdict(list)
    for number in range(rounds + 1):
        took: Turns = defaultdict(list)
        for _ in range(0, reads, BLOCK):
            for way, read in ways.items():
                took[way] += _block_us(read)
        if number:  # the first round warms up
            for way, times in took.items():
                found[way].append(statistics.median(times))
    return found


def _block_us(read: Callable[[], object]) -> list[float]:
    took = []
    for _ in range(BLOCK):
        began = time.perf_counter()
        read()
        took.append((time.perf_counter() - began) * 1e6)
    return took


def _add_rows(made: Result, found: Turns, *, pending: int) -> None:
    for (name, kept), turns in found.items():
        shown = f"{kept:,}" if name in {OURS, ACCURATE} else ""
        made.table.rows.append([name, shown, f"{pending:,}", str(figure(turns))])


def _read(kept: int, accuracy: str) -> object:
    return counts.get(namespace="bench", name=f"read {kept}", accuracy=accuracy)


def _read_many() -> object:
    return counts.get_many(
        [counts.CounterName("bench", f"c{i}") for i in range(TOGETHER)]
    )


def _by_key() -> object:
    return bare_cursor().execute(BY_KEY, [1], prepare=True).fetchone()


def _by_key_with_django() -> object:
    with connection.cursor() as cursor:
        cursor.execute(BY_KEY, [1])
        return cursor.fetchone()


def _by_orm() -> object:
    return PlainCounter._default_manager.get(pk=1)


RAW: dict[str, Callable[[], object]] = {
    "by primary key, psycopg": _by_key,
    "by primary key, Django's cursor": _by_key_with_django,
    "by primary key, Django's ORM": _by_orm,
}
