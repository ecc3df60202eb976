"""Bytes on disk for each event: the table's rows and each of its indexes."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

from benchmarks import clients
from benchmarks.clients import Orders
from benchmarks.ground import execute
from benchmarks.loads import HOT, Load
from benchmarks.options import Options
from benchmarks.peers import add, add_many, bare_insert_many
from benchmarks.results import Result, Table, figure
from counters.partitions import reindex

TITLE = "Bytes on disk for each event"
SIZES = """
SELECT sum(pg_table_size(table_id))::bigint, sum(pg_indexes_size(table_id))::bigint
FROM (
  SELECT coalesce(tree.relid, 'counters_event'::regclass) AS table_id
  FROM pg_partition_tree('counters_event') AS tree
  WHERE tree.isleaf
) AS leaf
"""


def measure(options: Options) -> Result:
    headings = ["written as", "events", "rows", "indexes", "together"]
    headings += ["indexes, compacted", "together"]
    made = Result(TITLE, Table(headings))
    many = Load(options.pick(full=100_000, quick=10_000), "uniform")
    seconds = options.pick(full=20, quick=5)
    for name, peer, load in (
        ("add, one hot counter", add, HOT),
        (f"add, {many.words}", add, many),
        ("add_many, 1,000 counters", add_many, HOT),
    ):
        options.say(name)
        execute("TRUNCATE counters_event, counters_lastwrite")
        empty = _sizes()
        peer.setup(load.counters)
        module = peer.__name__.rpartition(".")[2]
        _write(module, load, seconds, options.clients)
        [(events,)] = execute("SELECT count(*) FROM counters_event")
        # A page for each index of each day to come: nothing beside a service's events, but
        # a part of what a short run writes.
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
    bare_insert_many.setup(1)
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
    """Return the sizes of rows and indexes, without what they were when empty."""
    rows, indexes = _sizes()
    return rows - empty[0], indexes - empty[1]


def _compacted(empty: tuple[int, int]) -> tuple[int, int]:
    """Return the sizes once the day is over and its indexes are rebuilt."""
    # A short run's are smaller than what is worth it in a service.
    reindex.LEAST_BYTES = 0
    execute("ANALYZE counters_event")
    tomorrow = datetime.now(UTC) + timedelta(days=1, hours=2)
    for done in reindex.compact_due(now=tomorrow):
        if not done.bytes_after:
            raise RuntimeError(f"{done.index.name}: {done.kept_because}")
    return _beyond(empty)


def _write(peer: str, load: Load, seconds: float, how_many: int) -> None:
    orders = Orders(peer=peer, load=load, clients=how_many, seconds=seconds)
    clients.run(orders, meanwhile=nullcontext())
