"""Reads: eventual, accurate by pending events, and look-ups by primary key.

One connection reads in turns a counter with few and one with many kept events.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
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
BY_KEY = "SELECT total FROM plain_plaincounter WHERE id = %s"
PENDING = (1, 1_000, 10_000)
OURS, ACCURATE = "eventual (this project)", "accurate (this project)"


def reading(options: Options) -> Result:
    """Measure the median time of each kind of read."""
    counters = options.pick(full=100_000, quick=10_000)
    create_counters(counters)
    create_table(counters)
    few, many = 1_000, options.pick(full=10_000_000, quick=100_000)
    ids = {kept: _counter(kept, options) for kept in (few, many)}
    made = Result(
        "Reads of one counter among many",
        Table(["read", "kept events", "pending", "median µs"]),
    )
    ways: dict[tuple[str, int], Callable[[], object]] = {
        (OURS, kept): partial(_read, kept, "eventual") for kept in ids
    }
    ways |= {(name, few): way for name, way in RAW.items()}
    found = _in_turns(ways, options.rounds, READS)
    _add_rows(made, found, pending=0)
    for name in RAW:
        made.figures[f"eventual ÷ {name}"] = ratios(found[OURS, few], found[name, few])
    made.figures["eventual, many kept ÷ few"] = ratios(
        found[OURS, many], found[OURS, few]
    )
    for pending in PENDING:
        options.say(f"{pending:,} pending events")
        add_pending(list(ids.values()), pending)
        execute("VACUUM ANALYZE counters_event")
        ways = {(ACCURATE, kept): partial(_read, kept, "accurate") for kept in ids}
        found = _in_turns(ways, options.rounds, READS // 10)
        _add_rows(made, found, pending=pending)
        made.figures[f"accurate, many kept ÷ few, {pending:,} pending"] = ratios(
            found[ACCURATE, many], found[ACCURATE, few]
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


Turns = dict[tuple[str, int], list[float]]


def _in_turns(
    ways: Mapping[tuple[str, int], Callable[[], object]], rounds: int, reads: int
) -> Turns:
    """Return the median microseconds of a read, a number a round."""
    found: Turns = defaultdict(list)
    for number in range(rounds + 1):
        for way, read in ways.items():
            took = _median_us(read, reads)
            if number:  # the first round warms up
                found[way].append(took)
    return found


def _median_us(read: Callable[[], object], reads: int) -> float:
    took = []
    for _ in range(reads):
        began = time.perf_counter()
        read()
        took.append((time.perf_counter() - began) * 1e6)
    return statistics.median(took)


def _add_rows(made: Result, found: Turns, *, pending: int) -> None:
    for (name, kept), turns in found.items():
        shown = f"{kept:,}" if name in {OURS, ACCURATE} else ""
        made.table.rows.append([name, shown, f"{pending:,}", str(figure(turns))])


def _read(kept: int, accuracy: str) -> object:
    return counts.get(namespace="bench", name=f"read {kept}", accuracy=accuracy)


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
