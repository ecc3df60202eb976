"""How migrations 0005 and 0006 change the order of the columns in the key of events.

The same three columns stay unique, so neither code nor data change; old code runs on. With
the token in front, new entries go to the end of the index, since tokens begin with their
time; and the planner cannot take the key for a way to a counter's events, which are found
by `counters_event_unfolded` however little PostgreSQL knows of a new partition.
"""

from __future__ import annotations

from typing import Any

from psycopg import sql
from rich.console import Console
from rich.progress import track

_COLUMNS = sql.SQL("token, counter_id, event_time")
_COLUMNS_BEFORE = sql.SQL("counter_id, token, event_time")


def build_indexes(apps: Any, schema_editor: Any) -> None:
    """Build the new key's index on each partition; nothing waits behind it.

    Run again after it was broken off, it goes on where it was. Days in their order, so that
    today's index stands beside the key for the shortest time: ON CONFLICT does not look at
    it, and of two first uses of a token at the same moment one may fail on it, where the
    code is of before or the add is in the caller's transaction block (`counters.recording.duplicates`).
    """
    console = Console(stderr=True)
    if console.is_terminal:
        # Below the line on which migrate says what it is at.
        console.print()
    with schema_editor.connection.cursor() as cursor:
        for partition in track(
            _partitions(cursor), "partitions", console=console, transient=True
        ):
            if not _is_built(cursor, partition):
                _drop_index(cursor, partition)
                cursor.execute(
                    sql.SQL("CREATE UNIQUE INDEX CONCURRENTLY {} ON {} ({})").format(
                        _index_on(partition), sql.Identifier(partition), _COLUMNS
                    )
                )


def drop_indexes(apps: Any, schema_editor: Any) -> None:
    with schema_editor.connection.cursor() as cursor:
        for partition in _partitions(cursor):
            _drop_index(cursor, partition)


def swap_keys(apps: Any, schema_editor: Any) -> None:
    """Let the built indexes be the key: a change of the catalogue, however many events.

    A partition made since has no such index: it is of a day to come, or holds what an import
    has just brought, and its index is built here, while adds wait. The first statement locks
    all partitions, so none comes in between.
    """
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("ALTER TABLE counters_event DROP CONSTRAINT counters_event_pkey")
        for partition in _partitions(cursor):
            if _is_built(cursor, partition):
                cursor.execute(
                    sql.SQL(
                        "ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY USING INDEX {}"
                    ).format(
                        sql.Identifier(partition),
                        sql.Identifier(f"{partition}_pkey"),
                        _index_on(partition),
                    )
                )
        cursor.execute(
            sql.SQL("ALTER TABLE counters_event ADD PRIMARY KEY ({})").format(_COLUMNS)
        )


def swap_back(apps: Any, schema_editor: Any) -> None:
    """Build the key of before. Adds wait for it: stop the services, or do it at night."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("ALTER TABLE counters_event DROP CONSTRAINT counters_event_pkey")
        cursor.execute(
            sql.SQL("ALTER TABLE counters_event ADD PRIMARY KEY ({})").format(
                _COLUMNS_BEFORE
            )
        )


def _partitions(cursor: Any) -> list[str]:
    cursor.execute(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
        " WHERE inhparent = 'counters_event'::regclass ORDER BY relname"
    )
    return [name for (name,) in cursor.fetchall()]


def _is_built(cursor: Any, partition: str) -> bool:
    """Whether the index is there whole; a build that was broken off leaves an invalid one."""
    cursor.execute(
        "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
        " WHERE indrelid = to_regclass(%s) AND relname = %s",
        [partition, _name_of_index(partition)],
    )
    found: list[tuple[bool]] = cursor.fetchall()
    return found == [(True,)]


def _drop_index(cursor: Any, partition: str) -> None:
    cursor.execute(
        sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(_index_on(partition))
    )


def _index_on(partition: str) -> sql.Identifier:
    return sql.Identifier(_name_of_index(partition))


def _name_of_index(partition: str) -> str:
    return f"{partition}_by_token"
