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


def disk(options: Options) -> Result:
    """Measure rows and indexes of each event, before and after its indexes are rebuilt."""
    headings = ["written as", "events", "rows", "indexes", "together"]
    headings += ["indexes, compacted", "together"]
    made = Result("Bytes on disk for each event", Table(headings))
    many = Load(options.pick(full=100_000, quick=10_000), "uniform")
    seconds = options.pick(full=20, quick=5)
    for name, peer, load in (
        ("add, one hot counter", "add", HOT),
        (f"add, {many.words}", "add", many),
        ("add_many, 1,000 counters", "add_many", HOT),
    ):
        options.say(name)
        execute("TRUNCATE counters_event, counters_lastwrite")
        empty = _sizes()
        WAYS[peer].setup(load.counters)
        _write(peer, load, seconds, options.clients)
        [(events,)] = execute("SELECT count(*) FROM counters_event")
        # Each index of each coming day has a page: much in a short run.
        (rows, indexes), (_, dense) = _beyond(empty), _compacted(empty)
        made.figures[f"bytes, {name}"] = figure([(rows + indexes) / events])
        made.figures[f"bytes, {name}, compacted"] = figure([(rows + dense) / events])
        made.table.rows.append(
            [
                name,
                f"{events:,}",
                f"{rows / events:.0f}",
                f"{indexes / events:.0f}",
                f"{(rows + indexes) / events:.0f}",
                f"{dense / events:.0f}",
                f"{(rows + dense) / events:.0f}",
            ]
        )
    WAYS["bare_insert_many"].setup(1)
    _write("bare_insert_many", HOT, seconds / 3, options.clients)
    [(events, rows, indexes)] = execute(
        "SELECT count(*), pg_table_size('bench_log'), pg_indexes_size('bench_log')"
        " FROM bench_log"
    )
    made.table.rows.append(
        [
            "the limit: bare rows, one index",
            f"{events:,}",
            f"{rows / events:.0f}",
            f"{indexes / events:.0f}",
            f"{(rows + indexes) / events:.0f}",
            "",
            "",
        ]
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


def _write(peer: str, load: Load, seconds: float, how_many: int) -> None:
    orders = Orders(peer=peer, load=load, clients=how_many, seconds=seconds)
    clients.run(orders, meanwhile=nullcontext())
