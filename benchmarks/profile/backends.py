"""What PostgreSQL itself spends: its processes' CPU, and what a statement does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psutil
from django.db import connection
from rich.console import Console
from rich.table import Table

from counters.db.statements import load

TABLES = """
SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_tup_del
FROM pg_stat_user_tables WHERE n_tup_ins + n_tup_upd > 0 AND relname ~ '^(counters|rollups)_'
ORDER BY n_tup_ins + n_tup_upd DESC LIMIT 6
"""


def cpu_seconds() -> dict[str, float]:
    """Return the CPU that PostgreSQL's processes have used, by kind of process."""
    used: dict[str, float] = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid, backend_type FROM pg_stat_activity")
        rows = cursor.fetchall()
    for pid, kind in rows:
        times = psutil.Process(pid).cpu_times()
        used[kind] = used.get(kind, 0.0) + times.user + times.system
    return used


def since(before: Mapping[str, float]) -> dict[str, float]:
    """Return the CPU that each kind has used since then."""
    return {kind: used - before.get(kind, 0.0) for kind, used in cpu_seconds().items()}


def show_plan(app: str, statement: str, parameters: Mapping[str, Any]) -> None:
    """Print what a statement does, run once more and rolled back."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(
            "EXPLAIN (ANALYZE, BUFFERS, WAL, SUMMARY, COSTS OFF) "
            + load(app, statement),
            parameters,
        )
        lines = [line for (line,) in cursor.fetchall()]
        cursor.execute("ROLLBACK")
    print("\n".join(lines))


def show_tables() -> None:
    """Print which tables' updates touched no index (HOT)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(TABLES)
        rows = cursor.fetchall()
    table = Table(title="Rows written")
    for head in ("table", "inserted", "updated", "of these HOT", "deleted"):
        table.add_column(head, justify="left" if head == "table" else "right")
    for name, *counts in rows:
        table.add_row(name, *(f"{count:,}" for count in counts))
    Console(width=88).print(table)
