"""Bytes on disk for each event: the table's rows and each of its indexes."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

from benchmarks import clients
from benchmarks.clients import HOT, Load, Orders
from benchmarks.peers.registry import WAYS
from benchmarks.results import Result, Table, figure
from benchmarks.servers import execute
from benchmarks.turns import Options
from counters.partitions import reindex

SIZES = """
SELECT sum(pg_table_size(table_id))::bigint, sum(pg_indexes_size(table_id))::bigint
FROM (
  SELECT coalesce(tree.relid, 'counters_event'::regclass) AS table_id
  FROM pg_partition_tree('counters_event') AS tree
  WHERE tree.isleaf
) AS leaf
"""
LOG_SIZES = """
SELECT count(*), pg_table_size('bench_log'), pg_indexes_size('bench_log')
FROM bench_log
"""
MANY = Load(100_000, "uniform")
BATCHES = [("add_many", HOT), ("add_many_with_tokens", HOT)]
SINGLE = [("add", HOT), ("add", MANY), ("add_with_token", HOT)]


def disk(options: Options) -> Result:
    """Measure rows and indexes of each event, before and after its indexes are rebuilt."""
    headings = ["written as", "events", "rows", "indexes", "together"]
    headings += ["indexes, compacted", "together"]
    made = Result("Bytes on disk for each event", Table(headings))
    seconds = options.pick(full=10, quick=2)
    for peer, load in BATCHES + options.pick(full=SINGLE, quick=[]):
        name = f"{WAYS[peer].title}, {load.words}"
        options.say(name)
        execute("TRUNCATE counters_event, counters_lastwrite")
        empty = _sizes()
        WAYS[peer].setup(load.counters)
        _write(peer, load, seconds, options)
        [(events,)] = execute("SELECT count(*) FROM counters_event")
        # Each index of each coming day has a page: much in a short run.
        (rows, indexes), (_, dense) = _beyond(empty), _compacted(empty)
        key = f"bytes, {peer}, {load.spread}"
        made.figures[key] = figure([(rows + indexes) / events])
        made.figures[f"{key}, compacted"] = figure([(rows + dense) / events])
        sizes = [rows, indexes, rows + indexes, dense, rows + dense]
        made.table.rows.append(
            [name, f"{events:,}", *(f"{size / events:.0f}" for size in sizes)]
        )
    WAYS["bare_insert_many"].setup(1)
    _write("bare_insert_many", HOT, seconds / 2, options)
    [(events, rows, indexes)] = execute(LOG_SIZES)
    sizes = [rows, indexes, rows + indexes]
    made.table.rows.append(
        ["the limit: bare rows, one index", f"{events:,}"]
        + [f"{size / events:.0f}" for size in sizes]
        + ["", ""]
    )
    return made


def _sizes() -> tuple[int, int]:
    [(rows, indexes)] = execute(SIZES)
    return rows, indexes


def _beyond(empty: tuple[int, int]) -> tuple[int, int]:
    """Return the sizes of rows and indexes, minus their sizes when empty."""
    rows, indexes = _sizes()
    return rows - empty[0], indexes - empty[1]


def _compacted(empty: tuple[int, int]) -> tuple[int, int]:
    """Return the sizes once the day is over and its indexes are rebuilt."""
    # The indexes of a short run are smaller than a service would rebuild.
    reindex.LEAST_BYTES = 0
    execute("ANALYZE counters_event")
    tomorrow = datetime.now(UTC) + timedelta(days=1, hours=2)
    for done in reindex.rebuild_due(now=tomorrow):
        if not done.bytes_after:
            raise RuntimeError(f"{done.index.name}: {done.kept_because}")
    return _beyond(empty)


def _write(peer: str, load: Load, seconds: float, options: Options) -> None:
    orders = Orders(
        peer=peer,
        load=load,
        clients=options.clients,
        processes=options.processes,
        seconds=seconds,
    )
    clients.run(orders, meanwhile=nullcontext())
