"""What PostgreSQL counts of each of our statements, and their plans, under adds and folds.

By pg_stat_statements and auto_explain, which the embedded server does not have. So it needs
a server that loads the first, and a broker and a cache; with Debian's packages:

    pg_createcluster 15 profile --port 5499 -- --auth-local=trust --auth-host=trust
    echo "shared_preload_libraries = 'pg_stat_statements'" \
      >> /etc/postgresql/15/profile/conf.d/profile.conf
    pg_ctlcluster 15 profile start
    createdb -h 127.0.0.1 -p 5499 -U postgres profile
    DATABASE_URL=postgresql://postgres@127.0.0.1:5499/profile \
      CELERY_BROKER_URL=redis://127.0.0.1:6379/0 CACHE_URL=redis://127.0.0.1:6379/1 \
      python -m benchmarks.profile statements
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import psycopg
from django.db import connection
from rich.console import Console
from rich.table import Table

from benchmarks import ground, programs
from benchmarks.scaling import workers
from counters import events
from counters.db.statements import load
from rollups import counts
from rollups.folding import fold

COUNTERS, WRITERS, MOST_SHOWN = 1_000, 4, 12
APPS = ("counters", "rollups")
# What a statement and what PostgreSQL keeps of it write differently.
_VARIES = re.compile(r"%\(\w+\)s|\$\d+|'(?:[^']|'')*'|\b(?:\d+|true|false)\b")

COUNTED = """
SELECT query, calls, plans, total_exec_time * 1e3, total_plan_time * 1e3, rows,
       shared_blks_hit + shared_blks_read, wal_bytes::float8
FROM pg_stat_statements
WHERE calls > 0 AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY total_exec_time + total_plan_time DESC
"""
EXPLAINING = """
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_analyze = on;
SET auto_explain.log_buffers = on;
SET auto_explain.log_timing = off;
SET auto_explain.log_level = notice;
SET client_min_messages = notice
"""


def show(seconds: float) -> None:
    _check_server()
    ground.create_counters(COUNTERS)
    with programs.worker(programs.Running()):
        # Connections plan a statement five times before they may keep a plan.
        _load(seconds / 4)
        ground.execute("SELECT pg_stat_statements_reset()")
        adds = _load(seconds)
        workers.wait_until_folded()
    _show_counted(adds)
    _show_plans()


def _check_server() -> None:
    [(loaded,)] = ground.execute("SHOW shared_preload_libraries")
    if "pg_stat_statements" not in loaded:
        sys.exit(
            f"PostgreSQL has shared_preload_libraries={loaded!r}; this needs"
            " pg_stat_statements in it, on a server of DATABASE_URL. The docstring of"
            " benchmarks/profile/statements.py says how to make one."
        )
    [(name,)] = ground.execute("SELECT quote_ident(current_database())")
    ground.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    # For the connections that are made from now on: how often each is planned.
    ground.execute(f"ALTER DATABASE {name} SET pg_stat_statements.track_planning = on")
    connection.close()


def _load(seconds: float) -> int:
    measured = ground.Measured()
    ground.adds(measured, threads=WRITERS, seconds=seconds, counters=COUNTERS)
    return len(measured.seconds)


def _show_counted(adds: int) -> None:
    rows = ground.execute(COUNTED)
    names = _names()
    whole = sum(execution + planning for _, _, _, execution, planning, *_ in rows)
    table = Table(
        title=f"{adds:,} adds to {COUNTERS:,} counters by {WRITERS} threads, and their folds"
    )
    for head in (
        "statement",
        "calls",
        "planned",
        "run µs",
        "plan µs",
        "rows",
        "pages",
        "WAL B",
        "% of time",
    ):
        table.add_column(head, justify="left" if head == "statement" else "right")
    for query, calls, plans, execution, planning, found, pages, wal in rows[
        :MOST_SHOWN
    ]:
        table.add_row(
            names.get(_key(query), " ".join(query.split())[:40]),
            f"{calls:,}",
            f"{plans:,}",
            f"{execution / calls:.1f}",
            f"{planning / calls:.1f}",
            f"{found / calls:.1f}",
            f"{pages / calls:.1f}",
            f"{wal / calls:.0f}",
            f"{100 * (execution + planning) / whole:.1f}",
        )
    Console(width=120).print(table)
    print("Each but the first two columns and the last: for one call.")


def _names() -> dict[str, str]:
    return {
        _key(load(app, name)): f"{app}/{name}"
        for app in APPS
        for name in (
            file.name.removesuffix(".sql")
            for file in files(app).joinpath("sql").iterdir()
        )
    }


def _key(statement: str) -> str:
    """Return what is the same in a statement's file and in what PostgreSQL keeps of it."""
    return " ".join(_VARIES.sub("?", statement.replace("%%", "%")).split())


def _show_plans() -> None:
    """Print the plans of an add, a fold and an accurate read as they are kept and run."""
    hit = events.add(namespace="bench", name="c0")
    with _explained() as plans:
        # From the sixth time on a kept plan may be used; the last one is looked at.
        for _ in range(8):
            plans.clear()
            events.add(namespace="bench", name="c0")
            counts.get(namespace="bench", name="c0", accuracy="accurate")
            fold.fold([hit.counter_id])
    names = _names()
    for said in plans:
        query, plan = _split(said)
        print(f"\n{names.get(_key(query), query)}")
        print("\n".join(_carried_out(plan)))


def _split(said: str) -> tuple[str, list[str]]:
    """Return the statement and the lines of its plan; the first of these has a cost."""
    lines = said.partition("Query Text:")[2].splitlines()
    first = next(number for number, line in enumerate(lines) if "(cost=" in line)
    return "\n".join(lines[:first]), lines[first:]


def _carried_out(plan: list[str]) -> Iterator[str]:
    """Leave out what was planned and not needed: the partitions of other days."""
    passed: int | None = None
    for line in plan:
        depth = len(line) - len(line.lstrip())
        if passed is not None and depth > passed:
            continue
        passed = depth if "(never executed)" in line else None
        if passed is None:
            yield line


@contextmanager
def _explained() -> Iterator[list[str]]:
    """Collect what auto_explain says of each statement of Django's connection."""
    plans: list[str] = []

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.message_primary:
            plans.append(diagnostic.message_primary)

    connection.ensure_connection()
    driver: Any = connection.connection
    driver.execute(EXPLAINING)
    driver.add_notice_handler(note)
    try:
        yield plans
    finally:
        driver.remove_notice_handler(note)
        connection.close()
