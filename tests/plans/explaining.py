"""Plans as PostgreSQL carried them out: which tables were scanned how, what was read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.db import connection
from psycopg import sql

from counters.db.statements import load

# However many rows these have, no statement of a person or a writer reads all of them.
LARGE = ("counters_event", "counters_counter", "rollups_rollup", "rollups_bucket")
# Right after midnight the day's partition is that small: reading it whole is right.
ROWS_OF_A_PAGE = 150
_EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
# The planner's two ways with a prepared statement; PostgreSQL changes over by itself.
MODES = ("force_custom_plan", "force_generic_plan")


@dataclass(frozen=True, slots=True)
class Plan:
    """One statement, carried out."""

    root: dict[str, Any]

    def nodes(self, table: str = "") -> list[dict[str, Any]]:
        """Return what was carried out on a table: its partitions, too."""
        return [
            node
            for node in _walk(self.root)
            if node["Actual Loops"] and _is_of(node, table)
        ]

    def scans(self, table: str) -> set[str]:
        """Return how a table was read: `Index Scan`, `Index Only Scan` and the like."""
        return {
            node["Node Type"]
            for node in self.nodes(table)
            if node["Node Type"].endswith("Scan")
        }

    def partitions(self) -> set[str]:
        """Return the partitions of events that were looked into."""
        return {
            node["Relation Name"]
            for node in self.nodes("counters_event")
            if node["Node Type"].endswith("Scan")
        }

    def rows_read(self, table: str) -> float:
        """Return how many of its rows were looked at, those that a filter left out, too."""
        return sum(
            _rows(node)
            for node in self.nodes(table)
            if node["Node Type"].endswith("Scan")
        )

    @property
    def buffers(self) -> int:
        """How many pages of 8 kB were looked at."""
        return int(self.root["Shared Hit Blocks"] + self.root["Shared Read Blocks"])

    @property
    def read_whole(self) -> set[str]:
        """The large tables that were read from end to end; one page of rows is none."""
        return {
            node["Relation Name"]
            for table in LARGE
            for node in self.nodes(table)
            if node["Node Type"] == "Seq Scan" and _rows(node) > ROWS_OF_A_PAGE
        }


def explain_file(app: str, file: str, mode: str, /, **parameters: Any) -> Plan:
    """Carry a statement file out as a prepared one; the caller's transaction takes it back."""
    # The first time fills the caches of the catalogue, which count as pages read.
    for _ in range(2):
        with prepared_file(app, file, mode, **parameters) as explain:
            plan = explain()
    return plan


@contextmanager
def prepared_file(
    app: str, file: str, mode: str, /, **parameters: Any
) -> Iterator[Callable[[], Plan]]:
    """Prepare a statement file; give what carries it out, and takes it back, each time.

    A generic plan is made at the first time and kept, as on a service's connection.
    """
    text = load(app, file)
    for number, parameter in enumerate(parameters, start=1):
        text = text.replace(f"%({parameter})s", f"${number}")
    values = sql.SQL(", ").join(sql.Literal(value) for value in parameters.values())
    arguments = f" ({values.as_string(connection.connection)})" if parameters else ""
    name = f"explained_{uuid4().hex}"
    with _unprepared(connection.connection), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL plan_cache_mode = {mode}")
        cursor.execute(f"PREPARE {name} AS {text.replace('%%', '%')}")

        def explain() -> Plan:
            cursor.execute("SAVEPOINT before")
            cursor.execute(f"{_EXPLAIN} EXECUTE {name}{arguments}")
            [(found,)] = cursor.fetchall()
            cursor.execute("ROLLBACK TO before")
            return _plan(found)

        yield explain
        cursor.execute(f"DEALLOCATE {name}")


@contextmanager
def _unprepared(driver: Any) -> Iterator[None]:
    """Let the driver prepare nothing: what it has, it deallocates with all else on ROLLBACK."""
    before, driver.prepare_threshold = driver.prepare_threshold, None
    driver.execute("DEALLOCATE ALL")
    yield
    driver.prepare_threshold = before


def explain_query(query: str, parameters: Any) -> Plan:
    """Carry out what Django's ORM, or a page, has asked."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPLAIN + query, parameters or None)
        [(found,)] = cursor.fetchall()
    return _plan(found)


class Asked:
    """Notes the queries that are made while it is on: `connection.execute_wrapper(asked)`."""

    def __init__(self) -> None:
        self.queries: list[tuple[str, Any]] = []

    def __call__(self, execute: Any, query: Any, parameters: Any, *rest: Any) -> Any:
        if isinstance(query, str) and re.match(r"\s*(SELECT|WITH)\b", query):
            self.queries.append((query, parameters))
        return execute(query, parameters, *rest)

    def plans(self) -> Iterator[tuple[str, Plan]]:
        for query, parameters in self.queries:
            yield query, explain_query(query, parameters)


def _plan(found: Any) -> Plan:
    # Django leaves JSON to its fields: a statement of ours gets it as text.
    [tree] = json.loads(found) if isinstance(found, str) else found
    return Plan(tree["Plan"])


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _walk(child)


def _rows(node: dict[str, Any]) -> float:
    """Return the rows that were looked at in all turns, those that were left out, too."""
    looked_at = (
        node["Actual Rows"]
        + node.get("Rows Removed by Filter", 0)
        + node.get("Rows Removed by Index Recheck", 0)
    )
    return float(node["Actual Loops"] * looked_at)


def _is_of(node: dict[str, Any], table: str) -> bool:
    name = node.get("Relation Name", "")
    return bool(name == table or (name.startswith(f"{table}_") or not table))
